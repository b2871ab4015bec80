// ssl_ocsp: the status of a client's certificate, asked for before its requests are served.
#include <openssl/err.h>
#include <openssl/ocsp.h>

#include "base/clock.hpp"
#include "http/connection.hpp"
#include "http/ssl_conf.hpp"
#include "http/ssl_connection.hpp"
#include "tls/ocsp.hpp"
#include "tls/sessions.hpp"

namespace mp::http {
namespace {

constexpr std::string_view kRequestFailed = "certificate status request failed";

std::string failure_of(tls::OcspStatus status) {
  switch (status) {
    case tls::OcspStatus::good:
      return {};
    case tls::OcspStatus::revoked:
      return "certificate revoked";
    case tls::OcspStatus::unknown:
      break;
  }
  return "certificate status unknown";
}

// What is asked names the certificate, so its digest is the key of the answer.
std::string key_of(std::string_view request) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(request.data(), request.size(), digest, &size, EVP_sha256(), nullptr);
  return {reinterpret_cast<char*>(digest), size};
}

}  // namespace

// Empty: good. The zone keeps an answer for as long as it says.
std::string SslConnection::ask_status(X509* certificate, X509* issuer, STACK_OF(X509) * chain) {
  const SslServer& settings = conf();
  const log::Logger& logger = connection.logger;
  tls::OcspResponder responder = settings.ocsp_fixed_responder;
  if (!responder.known()) {
    const std::string url = tls::ocsp_responder(certificate);
    if (url.empty()) {
      log::error(logger, "no OCSP responder URL in certificate");
      return std::string(kRequestFailed);
    }
    auto parsed = tls::OcspResponder::parse(url, false);
    if (!parsed) {
      log::error(logger, "{} in OCSP responder \"{}\" in certificate", parsed.error().text, url);
      return std::string(kRequestFailed);
    }
    responder = std::move(*parsed);
  }
  const auto request = tls::ocsp_request(certificate, issuer);
  if (!request) return std::string(kRequestFailed);
  const std::string key = key_of(*request);
  const std::int64_t now = clock().seconds();
  auto* cache =
      settings.ocsp_zone.get() != nullptr ? settings.ocsp_zone.get()->owner<tls::SharedSessions>() : nullptr;
  if (cache != nullptr) {
    char kept[tls::SharedSessions::kMaxSession];
    if (cache->find(key, now, kept) == 1) return failure_of(static_cast<tls::OcspStatus>(kept[0]));
  }
  auto failed = [&](const Error& error) {
    log::error(logger, "{} while requesting certificate status, responder: {}", error.text, responder.host);
    return std::string(kRequestFailed);
  };
  const auto response = tls::ask_ocsp(responder, settings.ocsp_resolver, *request);
  if (!response) return failed(response.error());
  const auto answer = tls::read_ocsp_response(
      *response, certificate, issuer,
      {.store = SSL_CTX_get_cert_store(settings.context->get()), .untrusted = chain, .verify = true});
  if (!answer) return failed(answer.error());
  if (cache != nullptr && answer->next_update > now) {
    const char status = static_cast<char>(answer->status);
    cache->store(key, {&status, 1}, now, answer->next_update);
  }
  return failure_of(answer->status);
}

void SslConnection::check_status() {
  const OcspCheck wanted = conf().ocsp;
  if (wanted == OcspCheck::off || SSL_get_verify_result(ssl()) != X509_V_OK) return;
  X509* const leaf = SSL_get0_peer_certificate(ssl());
  if (leaf == nullptr) return;
  connection.doing = " while SSL handshaking";
  tls::CertsPtr chain;
  if (STACK_OF(X509)* verified = SSL_get0_verified_chain(ssl())) {
    chain.reset(X509_chain_up_ref(verified));
  } else {
    // A resumed session has no chain.
    const std::unique_ptr<X509_STORE_CTX, tls::Freed<X509_STORE_CTX_free>> search(X509_STORE_CTX_new());
    if (search == nullptr ||
        X509_STORE_CTX_init(search.get(), SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl())), leaf,
                            SSL_get_peer_cert_chain(ssl())) != 1 ||
        X509_verify_cert(search.get()) <= 0) {
      ERR_clear_error();
      ocsp_failure = kRequestFailed;
      return;
    }
    chain.reset(X509_STORE_CTX_get1_chain(search.get()));
  }
  const int last = wanted == OcspCheck::leaf ? 1 : sk_X509_num(chain.get()) - 1;
  for (int i = 0; i < last && i + 1 < sk_X509_num(chain.get()) && ocsp_failure.empty(); ++i) {
    ocsp_failure = ask_status(sk_X509_value(chain.get(), i), sk_X509_value(chain.get(), i + 1), chain.get());
  }
}

}  // namespace mp::http
