// ngx.ocsp.
#include "tls/ocsp.hpp"

#include <cstring>

#include <openssl/err.h>

#include "http/connection.hpp"
#include "http/ssl_connection.hpp"
#include "lua/api.hpp"

namespace mp::lua {
namespace {

// Errors of the layer below live in the request or until the next call.
thread_local std::string last_error;

int refuse(const char** error, std::string text) {
  ERR_clear_error();
  last_error = std::move(text);
  *error = last_error.c_str();
  return kError;
}

}  // namespace

extern const Group kOcspGroup = {"ocsp", {}};

}  // namespace mp::lua

using namespace mp::lua;

extern "C" {

int mp_ocsp_responder(const char* der, std::size_t size, char* out, std::size_t* room, const char** error) {
  const mp::tls::BioPtr bio(BIO_new_mem_buf(der, static_cast<int>(size)));
  const mp::tls::X509Ptr leaf(d2i_X509_bio(bio.get(), nullptr));
  if (leaf == nullptr) return refuse(error, "d2i_X509_bio() failed");
  const std::string url = mp::tls::ocsp_responder(leaf.get());
  if (url.empty()) return kDeclined;
  const auto chain = mp::tls::read_der_chain({der, size});
  if (!chain) return refuse(error, chain.error().text);
  if (X509_check_issued(chain->issuer.get(), leaf.get()) != X509_V_OK) {
    return refuse(error, "issuer certificate not next to leaf");
  }
  const bool fits = url.size() <= *room;
  const std::size_t n = fits ? url.size() : *room;
  url.copy(out, n);
  *room = n;
  return fits ? kOk : kBusy;
}

int mp_ocsp_request(const char* der, std::size_t size, char* out, std::size_t* room, const char** error) {
  const auto chain = mp::tls::read_der_chain({der, size});
  if (!chain) return refuse(error, chain.error().text);
  const auto made = mp::tls::ocsp_request(chain->leaf.get(), chain->issuer.get());
  if (!made) return refuse(error, made.error().text);
  if (made->size() > *room) {
    *room = made->size();
    refuse(error, "output buffer too small");
    return kBusy;
  }
  made->copy(out, made->size());
  *room = made->size();
  return kOk;
}

int mp_ocsp_validate(const char* response, std::size_t response_size, const char* der, std::size_t size,
                     double* next_update, const char** error) {
  // The response is looked at first: its faults are told before those of the chain.
  const auto chain = mp::tls::read_der_chain({der, size});
  const auto* bytes = reinterpret_cast<const unsigned char*>(response);
  OCSP_RESPONSE* probe = d2i_OCSP_RESPONSE(nullptr, &bytes, static_cast<long>(response_size));
  if (probe == nullptr) return refuse(error, "d2i_OCSP_RESPONSE() failed");
  const bool successful = OCSP_response_status(probe) == OCSP_RESPONSE_STATUS_SUCCESSFUL;
  OCSP_RESPONSE_free(probe);
  if (successful && !chain) return refuse(error, chain.error().text);
  const auto answer =
      mp::tls::read_ocsp_response({response, response_size}, chain ? chain->leaf.get() : nullptr,
                                  chain ? chain->issuer.get() : nullptr, {});
  if (!answer) return refuse(error, answer.error().text);
  if (answer->status != mp::tls::OcspStatus::good) {
    return refuse(error, "certificate status \"" + answer->status_text + "\" in the OCSP response");
  }
  *next_update = static_cast<double>(answer->next_update);
  return kOk;
}

int mp_ocsp_set_response(const char* response, std::size_t size, const char** error) {
  Request* r = request();
  if (r == nullptr) return kNoRequest;
  const auto& connection = r->connection.carrier->ssl;
  if (connection == nullptr) return refuse(error, "bad request");
  SSL* ssl = connection->ssl();
  if (SSL_get_tlsext_status_type(ssl) == -1) return kDeclined;
  // Without a callback OpenSSL would not send it.
  SSL_CTX_set_tlsext_status_cb(SSL_get_SSL_CTX(ssl), +[](SSL*, void*) { return SSL_TLSEXT_ERR_OK; });
  auto* copy = static_cast<unsigned char*>(OPENSSL_malloc(size));
  if (copy == nullptr) return refuse(error, "OPENSSL_malloc() failed");
  std::memcpy(copy, response, size);
  if (SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<long>(size)) != 1) {
    OPENSSL_free(copy);
    return refuse(error, "SSL_set_tlsext_status_ocsp_resp() failed");
  }
  return kOk;
}
}
