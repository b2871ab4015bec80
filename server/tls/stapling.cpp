#include "tls/stapling.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <openssl/err.h>
#include <openssl/ocsp.h>

#include "base/clock.hpp"
#include "fiber/fiber.hpp"
#include "tls/error.hpp"
#include "tls/ocsp.hpp"

namespace mp::tls {
namespace {

constexpr std::int64_t kRetry = 300;
constexpr std::int64_t kLongest = 3600;
constexpr std::int64_t kForEver = INT64_MAX;

std::string quoted(const std::string& text) {
  return "\"" + text + "\"";
}

}  // namespace

Status Stapling::prepare(const Context& context, const Options& options, std::vector<std::string>& warnings) {
  context_ = context.get();
  for (std::size_t i = 0; i < context.certificates().size(); ++i) {
    auto staple = std::make_unique<Staple>();
    staple->certificate = share(context.certificates()[i].get());
    staple->name = context.names()[i];
    if (!options.file.empty()) {
      TRY(read_file(*staple, options.file));
    } else {
      staple->chain.reset(X509_chain_up_ref(context.chains()[i].get()));
      if (!find_issuer(context_, *staple, warnings) ||
          !find_responder(*staple, options.responder, warnings)) {
        continue;
      }
    }
    staples_.push_back(std::move(staple));
  }
  SSL_CTX_set_tlsext_status_cb(context_, on_status);
  SSL_CTX_set_tlsext_status_arg(context_, this);
  return {};
}

Status Stapling::read_file(Staple& staple, const std::string& path) {
  const BioPtr bio(BIO_new_file(path.c_str(), "rb"));
  if (bio == nullptr) return fail(with_errors("BIO_new_file(" + quoted(path) + ") failed"), EINVAL);
  const std::unique_ptr<OCSP_RESPONSE, Freed<OCSP_RESPONSE_free>> response(
      d2i_OCSP_RESPONSE_bio(bio.get(), nullptr));
  if (response == nullptr) {
    return fail(with_errors("d2i_OCSP_RESPONSE_bio(" + quoted(path) + ") failed"), EINVAL);
  }
  unsigned char* bytes = nullptr;
  const int size = i2d_OCSP_RESPONSE(response.get(), &bytes);
  if (size <= 0) return fail(with_errors("i2d_OCSP_RESPONSE(" + quoted(path) + ") failed"), EINVAL);
  staple.response.assign(reinterpret_cast<char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  staple.valid = staple.refresh = kForEver;
  return {};
}

bool Stapling::find_issuer(SSL_CTX* context, Staple& staple, std::vector<std::string>& warnings) {
  for (int i = 0; i < sk_X509_num(staple.chain.get()); ++i) {
    X509* candidate = sk_X509_value(staple.chain.get(), i);
    if (X509_check_issued(candidate, staple.certificate.get()) == X509_V_OK) {
      staple.issuer = share(candidate);
      return true;
    }
  }
  const std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX_free>> search(X509_STORE_CTX_new());
  X509* found = nullptr;
  if (search != nullptr &&
      X509_STORE_CTX_init(search.get(), SSL_CTX_get_cert_store(context), nullptr, nullptr) == 1 &&
      X509_STORE_CTX_get1_issuer(&found, search.get(), staple.certificate.get()) == 1) {
    staple.issuer.reset(found);
    return true;
  }
  ERR_clear_error();
  warnings.push_back("\"ssl_stapling\" ignored, issuer certificate not found for certificate " +
                     quoted(staple.name));
  return false;
}

bool Stapling::find_responder(Staple& staple, const std::string& configured,
                              std::vector<std::string>& warnings) {
  const std::string url = configured.empty() ? ocsp_responder(staple.certificate.get()) : configured;
  if (url.empty()) {
    warnings.push_back("\"ssl_stapling\" ignored, no OCSP responder URL in the certificate " +
                       quoted(staple.name));
    return false;
  }
  auto parsed = OcspResponder::parse(url, true);
  if (!parsed) {
    warnings.push_back("\"ssl_stapling\" ignored, " + parsed.error().text + " in OCSP responder " +
                       quoted(url) + " in the certificate " + quoted(staple.name));
    return false;
  }
  staple.responder = std::move(*parsed);
  return true;
}

int Stapling::on_status(SSL* ssl, void* data) {
  auto& self = *static_cast<Stapling*>(data);
  const X509* shown = SSL_get_certificate(ssl);
  if (shown == nullptr) return SSL_TLSEXT_ERR_NOACK;
  for (const auto& staple : self.staples_) {
    if (staple->certificate.get() != shown) continue;
    const std::int64_t now = clock().seconds();
    int result = SSL_TLSEXT_ERR_NOACK;
    if (!staple->response.empty() && staple->valid >= now) {
      const std::size_t size = staple->response.size();
      if (auto* copy = static_cast<unsigned char*>(OPENSSL_malloc(size))) {
        std::memcpy(copy, staple->response.data(), size);
        SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<long>(size));
        result = SSL_TLSEXT_ERR_OK;
      }
    }
    if (!staple->loading && staple->refresh < now) {
      staple->loading = true;
      fiber::spawn([&self, s = staple.get()] { self.update(*s); });
    }
    return result;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

void Stapling::update(Staple& staple) {
  fiber::local() = {};
  staple.refresh = clock().seconds() + kRetry;
  auto failed = [&](const std::string& text) {
    staple.loading = false;
    log::error(logger, "{} while requesting certificate status, responder: {}, certificate: \"{}\"", text,
               staple.responder.host, staple.name);
  };
  const auto request = ocsp_request(staple.certificate.get(), staple.issuer.get());
  if (!request) return failed(request.error().text);
  const auto response = ask_ocsp(staple.responder, resolver, *request);
  if (!response) return failed(response.error().text);
  OcspTrust trust;
  trust.store = SSL_CTX_get_cert_store(context_);
  trust.untrusted = staple.chain.get();
  trust.verify = verify_;
  const auto answer = read_ocsp_response(*response, staple.certificate.get(), staple.issuer.get(), trust);
  if (!answer) return failed(answer.error().text);
  if (answer->status != OcspStatus::good) {
    return failed("certificate status \"" + answer->status_text + "\" in the OCSP response");
  }
  const std::int64_t now = clock().seconds();
  staple.response = *response;
  staple.valid = answer->next_update != 0 ? answer->next_update : kForEver;
  const std::int64_t soon = staple.valid == kForEver ? now + kLongest : staple.valid - kRetry;
  staple.refresh = std::max(std::min(soon, now + kLongest), now + kRetry);
  staple.loading = false;
}

}  // namespace mp::tls
