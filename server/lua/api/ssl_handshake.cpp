// ngx.ssl.clienthello, ngx.ssl.session and ngx.ssl.proxysslverify: what only a hook of a handshake can ask.
#include <openssl/err.h>

#include "http/connection.hpp"
#include "http/ssl_connection.hpp"
#include "lua/api.hpp"
#include "lua/hooks/ssl.hpp"
#include "tls/context.hpp"
#include "tls/hello.hpp"

namespace mp::lua {
namespace {

// The SSL that the running code has to do with: kOk, kError with `error` set, or the code of a call in the
// wrong place.
int find_ssl(int with_upstream, SSL*& out, const char** error) {
  Request* r = request();
  if (r == nullptr) return kNoRequest;
  if (with_upstream != 0) {
    const auto* data = r->find_ctx<HandshakeData>();
    out = data != nullptr ? data->upstream : nullptr;
    *error = "bad upstream connection";
  } else {
    const auto& ssl = r->connection.carrier->ssl;
    out = ssl != nullptr ? ssl->ssl() : nullptr;
    *error = "bad request";
  }
  return out != nullptr ? kOk : kError;
}

int refuse(const char** error, const char* text) {
  ERR_clear_error();
  *error = text;
  return kError;
}

bool is_grease(std::uint16_t cipher) {
  return (cipher & 0x0f0f) == 0x0a0a && (cipher >> 8) == (cipher & 0xff);
}

}  // namespace
}  // namespace mp::lua

using namespace mp::lua;

extern "C" {

// ---- the client's hello

int mp_ssl_hello_server_name(Str* out, const char** error) {
  SSL* ssl = nullptr;
  if (const int rc = find_ssl(0, ssl, error); rc != kOk) return rc;
  const unsigned char* bytes = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &size) != 1) return kDeclined;
  int alert = 0;
  const auto name = mp::tls::parse_server_name({bytes, size}, alert);
  if (!name) return refuse(error, "Bad SSL Client Hello Extension");
  *out = str(*name);
  return kOk;
}

int mp_ssl_hello_ext(unsigned type, Str* out, const char** error) {
  SSL* ssl = nullptr;
  if (const int rc = find_ssl(0, ssl, error); rc != kOk) return rc;
  const unsigned char* bytes = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, type, &bytes, &size) != 1) return kDeclined;
  *out = {reinterpret_cast<const char*>(bytes), size};
  return kOk;
}

int mp_ssl_hello_ext_present(int* out, int room, const char** error) {
  SSL* ssl = nullptr;
  if (const int rc = find_ssl(0, ssl, error); rc != kOk) return rc;
  int* list = nullptr;
  std::size_t count = 0;
  if (SSL_client_hello_get1_extensions_present(ssl, &list, &count) != 1) {
    return refuse(error, "failed SSL_client_hello_get1_extensions_present()");
  }
  const int n = static_cast<int>(count) < room ? static_cast<int>(count) : room;
  for (int i = 0; i < n; ++i) out[i] = list[i];
  OPENSSL_free(list);
  return n;
}

int mp_ssl_hello_ciphers(std::uint16_t* out, int room, const char** error) {
  SSL* ssl = nullptr;
  if (const int rc = find_ssl(0, ssl, error); rc != kOk) return rc;
  const unsigned char* list = nullptr;
  const std::size_t size = SSL_client_hello_get0_ciphers(ssl, &list);
  if (size == 0) return refuse(error, "failed SSL_client_hello_get0_ciphers()");
  if (size % 2 != 0) return refuse(error, "SSL_client_hello_get0_ciphers() odd ciphersuites_bytes");
  int count = 0;
  for (std::size_t at = 0; at < size && count < room; at += 2) {
    const auto id = static_cast<std::uint16_t>(list[at] << 8 | list[at + 1]);
    if (!is_grease(id)) out[count++] = id;
  }
  return count;
}

int mp_ssl_set_protocols(std::uint32_t protocols, const char** error) {
  SSL* ssl = nullptr;
  if (const int rc = find_ssl(0, ssl, error); rc != kOk) return rc;
  const std::uint64_t all = mp::tls::protocol_options(0);
  SSL_clear_options(ssl, all);
  SSL_set_options(ssl, mp::tls::protocol_options(protocols));
  return kOk;
}

// ---- sessions

int mp_ssl_session_id(Str* out, const char** error) {
  SSL* ssl = nullptr;
  if (const int rc = find_ssl(0, ssl, error); rc != kOk) return rc;
  const auto* data = request()->find_ctx<HandshakeData>();
  if (data == nullptr) return refuse(error, "bad lua context");
  if (data->session_id.data() == nullptr) return refuse(error, "uninitialized session id in lua context");
  *out = str(data->session_id);
  return kOk;
}

int mp_ssl_session_serialized(char* out, std::size_t room, const char** error) {
  SSL* ssl = nullptr;
  if (const int rc = find_ssl(0, ssl, error); rc != kOk) return rc;
  const auto* data = request()->find_ctx<HandshakeData>();
  if (data == nullptr) return refuse(error, "bad lua context");
  if (data->session == nullptr) return refuse(error, "bad session in lua context");
  const int size = i2d_SSL_SESSION(data->session, nullptr);
  if (size <= 0) return refuse(error, "i2d_SSL_SESSION() failed");
  if (static_cast<std::size_t>(size) > room) return refuse(error, "session too big to serialize");
  auto* p = reinterpret_cast<unsigned char*>(out);
  return i2d_SSL_SESSION(data->session, &p);
}

int mp_ssl_set_session(const char* encoded, std::size_t size, const char** error) {
  SSL* ssl = nullptr;
  if (const int rc = find_ssl(0, ssl, error); rc != kOk) return rc;
  constexpr std::size_t kMost = 4096;
  if (size == 0 || size > kMost) return refuse(error, "invalid session length");
  auto* data = request()->find_ctx<HandshakeData>();
  if (data == nullptr || context() != kSslSessionFetch) return refuse(error, "bad lua context");
  const auto* p = reinterpret_cast<const unsigned char*>(encoded);
  SSL_SESSION* session = d2i_SSL_SESSION(nullptr, &p, static_cast<long>(size));
  if (session == nullptr) return refuse(error, "failed to de-serialize session");
  if (data->session != nullptr) SSL_SESSION_free(data->session);
  data->session = session;
  return kOk;
}

// ---- verification of upstream servers

int mp_ssl_set_verify_result(int result, const char** error) {
  SSL* ssl = nullptr;
  if (const int rc = find_ssl(1, ssl, error); rc != kOk) return rc;
  const auto* data = request()->find_ctx<HandshakeData>();
  if (data->verification == nullptr) return refuse(error, "bad lua context");
  X509_STORE_CTX_set_error(data->verification, result);
  return kOk;
}

int mp_ssl_get_verify_result(const char** error) {
  SSL* ssl = nullptr;
  if (const int rc = find_ssl(1, ssl, error); rc != kOk) return rc;
  const auto* data = request()->find_ctx<HandshakeData>();
  if (data->verification == nullptr) return refuse(error, "bad lua context");
  return X509_STORE_CTX_get_error(data->verification);
}

void* mp_ssl_get_verify_cert(const char** error) {
  SSL* ssl = nullptr;
  if (find_ssl(1, ssl, error) != kOk) return nullptr;
  const auto* data = request()->find_ctx<HandshakeData>();
  if (data->verification == nullptr) {
    refuse(error, "bad lua context");
    return nullptr;
  }
  X509* certificate = X509_STORE_CTX_get0_cert(data->verification);
  if (certificate == nullptr || X509_up_ref(certificate) != 1) {
    refuse(error, "get verify result failed");
    return nullptr;
  }
  return certificate;
}

void mp_ssl_free_cert(void* certificate) {
  X509_free(static_cast<X509*>(certificate));
}
}
