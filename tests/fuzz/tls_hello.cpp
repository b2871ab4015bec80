// The first bytes of a TLS connection: OpenSSL reads them with our callback in place, and the pieces that we
// read ourselves keep their promises.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <openssl/err.h>

#include "tls/context.hpp"
#include "tls/hello.hpp"
#include "tls/ocsp_client.hpp"

using namespace mp;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

int on_hello(SSL* ssl, int* alert, void*) {
  const auto name = tls::server_name(ssl, *alert);
  if (name) require(name->size() <= TLSEXT_MAXLEN_host_name && name->find('\0') == name->npos);
  return name ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_ERROR;
}

tls::Context make_context() {
  tls::Context context = *tls::Context::make(tls::kTlsV1_2 | tls::kTlsV1_3);
  SSL_CTX_set_client_hello_cb(context.get(), on_hello, nullptr);
  return context;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const tls::Context context = make_context();
  const tls::SslPtr ssl(SSL_new(context.get()));
  BIO* in = BIO_new_mem_buf(bytes, static_cast<int>(size));
  BIO_set_mem_eof_return(in, -1);
  SSL_set_bio(ssl.get(), in, BIO_new(BIO_s_mem()));
  SSL_set_accept_state(ssl.get());
  require(SSL_do_handshake(ssl.get()) != 1);  // there is no certificate
  ERR_clear_error();

  int alert = 0;
  const auto name = tls::parse_server_name({bytes, size}, alert);
  require(name.has_value() || alert != 0);
  if (name) require(name->size() + 5 == size);
  for (const int version : tls::parse_versions({bytes, size})) require(version >= 0 && version <= 0xffff);

  std::string_view body;
  const std::string_view text{reinterpret_cast<const char*>(bytes), size};
  if (tls::parse_ocsp_http(text, true, body) == tls::OcspHttp::done)
    require(text.ends_with(body) || !body.empty());
  return 0;
}
