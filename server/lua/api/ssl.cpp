// ngx.ssl and its companions: certificates and keys of handshakes, what a connection has agreed on.
#include "lua/hooks/ssl.hpp"

#include <cerrno>
#include <cstring>

#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/un.h>

#include "http/connection.hpp"
#include "http/ssl_conf.hpp"
#include "http/ssl_connection.hpp"
#include "lua/api.hpp"
#include "tls/context.hpp"
#include "tls/describe.hpp"
#include "tls/hello.hpp"
#include "tls/load.hpp"
#include "upstream/history.hpp"

namespace mp::lua {
namespace {

using tls::BioPtr;

// The SSL of a call: `with_upstream` that of the connection to the upstream server, else the client's. Null,
// with the error scripts know, when there is none.
SSL* ssl_of(Request& r, bool with_upstream, const char** error) {
  if (with_upstream) {
    const auto* data = r.find_ctx<HandshakeData>();
    if (data != nullptr && data->upstream != nullptr) return data->upstream;
    *error = "bad upstream connection";
    return nullptr;
  }
  const auto& ssl = r.connection.carrier->ssl;
  if (ssl != nullptr) return ssl->ssl();
  *error = "bad request";
  return nullptr;
}

// Finds it for an FFI function: kOk, kError with `error` set, or the code of a call in the wrong place.
int find_ssl(int with_upstream, SSL*& out, const char** error) {
  Request* r = request();
  if (r == nullptr) return kNoRequest;
  out = ssl_of(*r, with_upstream != 0, error);
  return out != nullptr ? kOk : kError;
}

int refuse(const char** error, const char* text) {
  ERR_clear_error();
  *error = text;
  return kError;
}

BioPtr memory(const char* data, std::size_t size) {
  return BioPtr(BIO_new_mem_buf(data, static_cast<int>(size)));
}

// The bytes and kind of an address: 0 unix, 1 inet, 2 inet6.
void raw_address(const sockaddr* address, socklen_t length, Str& out, int& kind) {
  switch (address->sa_family) {
    case AF_INET6: {
      const auto* in6 = reinterpret_cast<const sockaddr_in6*>(address);
      out = {reinterpret_cast<const char*>(&in6->sin6_addr), 16};
      kind = 2;
      return;
    }
    case AF_UNIX: {
      const auto* un = reinterpret_cast<const sockaddr_un*>(address);
      const bool named = length > offsetof(sockaddr_un, sun_path);
      out = named ? Str{un->sun_path, std::strlen(un->sun_path)} : Str{"", 0};
      kind = 0;
      return;
    }
    default: {
      const auto* in = reinterpret_cast<const sockaddr_in*>(address);
      out = {reinterpret_cast<const char*>(&in->sin_addr), 4};
      kind = 1;
    }
  }
}

bool is_grease(std::uint16_t cipher) {
  return (cipher & 0x0f0f) == 0x0a0a && (cipher >> 8) == (cipher & 0xff);
}

}  // namespace

extern const Group kSslGroup = {"ssl", {}};

}  // namespace mp::lua

using namespace mp::lua;

extern "C" {

int mp_ssl_version(int with_upstream, const char** error) {
  SSL* ssl = nullptr;
  const int rc = find_ssl(with_upstream, ssl, error);
  return rc == kOk ? SSL_version(ssl) : rc;
}

int mp_ssl_clear_certs(int with_upstream, const char** error) {
  SSL* ssl = nullptr;
  const int rc = find_ssl(with_upstream, ssl, error);
  if (rc == kOk) SSL_certs_clear(ssl);
  return rc;
}

int mp_ssl_set_der_cert(int with_upstream, const char* data, std::size_t size, const char** error) {
  SSL* ssl = nullptr;
  if (const int rc = find_ssl(with_upstream, ssl, error); rc != kOk) return rc;
  const BioPtr bio = memory(data, size);
  if (bio == nullptr) return refuse(error, "BIO_new_mem_buf() failed");
  const mp::tls::X509Ptr leaf(d2i_X509_bio(bio.get(), nullptr));
  if (leaf == nullptr) return refuse(error, "d2i_X509_bio() failed");
  if (SSL_use_certificate(ssl, leaf.get()) == 0) return refuse(error, "SSL_use_certificate() failed");
  while (!BIO_eof(bio.get())) {
    mp::tls::X509Ptr next(d2i_X509_bio(bio.get(), nullptr));
    if (next == nullptr) return refuse(error, "d2i_X509_bio() failed");
    if (SSL_add0_chain_cert(ssl, next.get()) == 0) return refuse(error, "SSL_add0_chain_cert() failed");
    (void)next.release();
  }
  return kOk;
}

int mp_ssl_set_der_key(int with_upstream, const char* data, std::size_t size, const char** error) {
  SSL* ssl = nullptr;
  if (const int rc = find_ssl(with_upstream, ssl, error); rc != kOk) return rc;
  const BioPtr bio = memory(data, size);
  if (bio == nullptr) return refuse(error, "BIO_new_mem_buf() failed");
  const mp::tls::KeyPtr key(d2i_PrivateKey_bio(bio.get(), nullptr));
  if (key == nullptr) return refuse(error, "d2i_PrivateKey_bio() failed");
  if (SSL_use_PrivateKey(ssl, key.get()) == 0) return refuse(error, "SSL_use_PrivateKey() failed");
  return kOk;
}

int mp_ssl_set_cert(int with_upstream, void* chain_pointer, const char** error) {
  SSL* ssl = nullptr;
  if (const int rc = find_ssl(with_upstream, ssl, error); rc != kOk) return rc;
  auto* chain = static_cast<STACK_OF(X509)*>(chain_pointer);
  if (chain == nullptr || sk_X509_num(chain) < 1) return refuse(error, "invalid certificate chain");
  if (SSL_use_certificate(ssl, sk_X509_value(chain, 0)) == 0) {
    return refuse(error, "SSL_use_certificate() failed");
  }
  for (int i = 1; i < sk_X509_num(chain); ++i) {
    if (SSL_add1_chain_cert(ssl, sk_X509_value(chain, i)) == 0) {
      return refuse(error, "SSL_add1_chain_cert() failed");
    }
  }
  return kOk;
}

int mp_ssl_set_key(int with_upstream, void* key, const char** error) {
  SSL* ssl = nullptr;
  if (const int rc = find_ssl(with_upstream, ssl, error); rc != kOk) return rc;
  if (key == nullptr) return refuse(error, "invalid private key");
  if (SSL_use_PrivateKey(ssl, static_cast<EVP_PKEY*>(key)) == 0) {
    return refuse(error, "SSL_use_PrivateKey() failed");
  }
  return kOk;
}

int mp_ssl_raw_address(int of_server, Str* out, int* kind, const char** error) {
  SSL* ssl = nullptr;
  if (const int rc = find_ssl(0, ssl, error); rc != kOk) return rc;
  mp::http::Connection& c = *request()->connection.carrier;
  const mp::net::Address& address = of_server != 0 ? c.local() : c.client;
  raw_address(address.raw(), address.size(), *out, *kind);
  return kOk;
}

int mp_ssl_server_port(const char** error) {
  SSL* ssl = nullptr;
  if (const int rc = find_ssl(0, ssl, error); rc != kOk) return rc;
  const mp::net::Address& address = request()->connection.carrier->local();
  if (address.is_unix()) return refuse(error, "unix domain has no port");
  return address.port();
}

int mp_ssl_server_name(Str* out, const char** error) {
  SSL* ssl = nullptr;
  if (const int rc = find_ssl(0, ssl, error); rc != kOk) return rc;
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return kDeclined;
  *out = {name, std::strlen(name)};
  return kOk;
}

int mp_ssl_shared_ciphers(std::uint16_t* out, int room, int filter_grease, const char** error) {
  SSL* ssl = nullptr;
  if (const int rc = find_ssl(0, ssl, error); rc != kOk) return rc;
  STACK_OF(SSL_CIPHER)* ours = SSL_get1_supported_ciphers(ssl);
  STACK_OF(SSL_CIPHER)* theirs = SSL_get_client_ciphers(ssl);
  int count = 0;
  for (int i = 0; i < sk_SSL_CIPHER_num(ours) && count < room; ++i) {
    const std::uint16_t id = SSL_CIPHER_get_protocol_id(sk_SSL_CIPHER_value(ours, i));
    if (filter_grease != 0 && is_grease(id)) continue;
    for (int j = 0; j < sk_SSL_CIPHER_num(theirs); ++j) {
      if (SSL_CIPHER_get_protocol_id(sk_SSL_CIPHER_value(theirs, j)) != id) continue;
      out[count++] = id;
      break;
    }
  }
  sk_SSL_CIPHER_free(ours);
  return count;
}

int mp_ssl_cert_pem_to_der(const char* pem, std::size_t size, char* out, const char** error) {
  const auto chain = mp::tls::parse_certificates({pem, size}, *error);
  if (chain == nullptr) return refuse(error, *error);
  auto* p = reinterpret_cast<unsigned char*>(out);
  int total = 0;
  for (int i = 0; i < sk_X509_num(chain.get()); ++i) {
    X509* certificate = sk_X509_value(chain.get(), i);
    const int length = i2d_X509(certificate, nullptr);
    if (length < 0 || static_cast<std::size_t>(total + length) > size)
      return refuse(error, "i2d_X509() failed");
    total += i2d_X509(certificate, &p);
  }
  return total;
}

int mp_ssl_key_pem_to_der(const char* pem, std::size_t size, const char* password, char* out,
                          const char** error) {
  mp::tls::Passwords passwords;
  if (password != nullptr) passwords.add(password);
  const auto key = mp::tls::parse_key({pem, size}, &passwords, *error);
  if (key == nullptr) return refuse(error, *error);
  const int length = i2d_PrivateKey(key.get(), nullptr);
  if (length < 0 || static_cast<std::size_t>(length) > size) return refuse(error, "i2d_PrivateKey() failed");
  auto* p = reinterpret_cast<unsigned char*>(out);
  return i2d_PrivateKey(key.get(), &p);
}

void* mp_ssl_parse_pem_cert(const char* pem, std::size_t size, const char** error) {
  auto chain = mp::tls::parse_certificates({pem, size}, *error);
  ERR_clear_error();
  return chain.release();
}

void* mp_ssl_parse_der_cert(const char* der, std::size_t size, const char** error) {
  if (der == nullptr || size == 0) {
    refuse(error, "invalid argument");
    return nullptr;
  }
  const BioPtr bio = memory(der, size);
  mp::tls::CertsPtr chain(sk_X509_new_null());
  do {
    X509* certificate = d2i_X509_bio(bio.get(), nullptr);
    if (certificate == nullptr) {
      const bool first = sk_X509_num(chain.get()) == 0;
      refuse(error, first ? "d2i_X509_bio() failed" : "d2i_X509_bio() failed in rest of chain");
      return nullptr;
    }
    sk_X509_push(chain.get(), certificate);
  } while (!BIO_eof(bio.get()));
  return chain.release();
}

void mp_ssl_free_certs(void* chain) {
  mp::tls::free_certs(static_cast<STACK_OF(X509)*>(chain));
}

void* mp_ssl_parse_pem_key(const char* pem, std::size_t size, const char** error) {
  const mp::tls::Passwords none;
  auto key = mp::tls::parse_key({pem, size}, &none, *error);
  ERR_clear_error();
  return key.release();
}

void* mp_ssl_parse_der_key(const char* der, std::size_t size, const char** error) {
  if (der == nullptr || size == 0) {
    refuse(error, "invalid argument");
    return nullptr;
  }
  const BioPtr bio = memory(der, size);
  EVP_PKEY* key = d2i_PrivateKey_bio(bio.get(), nullptr);
  if (key == nullptr) refuse(error, "d2i_PrivateKey_bio() failed");
  return key;
}

void mp_ssl_free_key(void* key) {
  EVP_PKEY_free(static_cast<EVP_PKEY*>(key));
}

int mp_ssl_verify_client(void* client_chain, void* trusted_chain, int depth, const char** error) {
  Request* r = request();
  if (r == nullptr) return kNoRequest;
  if (context() != kSslCert) return refuse(error, "API disabled in the current context");
  SSL* ssl = nullptr;
  if (const int rc = find_ssl(0, ssl, error); rc != kOk) return rc;
  SSL_set_verify(ssl, SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 1; });
  if (depth < 0) depth = static_cast<int>(r->sets.get<mp::http::SslServer>().verify_depth.get());
  SSL_set_verify_depth(ssl, depth);
  auto* clients = static_cast<STACK_OF(X509)*>(client_chain);
  auto* trusted = static_cast<STACK_OF(X509)*>(trusted_chain);
  if (clients == nullptr && trusted == nullptr) return kOk;
  mp::tls::StorePtr store(X509_STORE_new());
  if (store == nullptr) return refuse(error, "X509_STORE_new() failed");
  if (clients != nullptr) {
    STACK_OF(X509_NAME)* names = sk_X509_NAME_new_null();
    for (int i = 0; i < sk_X509_num(clients); ++i) {
      X509* certificate = sk_X509_value(clients, i);
      sk_X509_NAME_push(names, X509_NAME_dup(X509_get_subject_name(certificate)));
      if (X509_STORE_add_cert(store.get(), certificate) == 0) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return refuse(error, "X509_STORE_add_cert() failed");
      }
    }
    SSL_set_client_CA_list(ssl, names);
  }
  for (int i = 0; trusted != nullptr && i < sk_X509_num(trusted); ++i) {
    if (X509_STORE_add_cert(store.get(), sk_X509_value(trusted, i)) == 0) {
      return refuse(error, "X509_STORE_add_cert() failed");
    }
  }
  if (SSL_set0_verify_cert_store(ssl, store.get()) == 0) {
    return refuse(error, "SSL_set0_verify_cert_store() failed");
  }
  (void)store.release();
  return kOk;
}

// which: 0 client's random, 1 server's, 2 the master key.
int mp_ssl_secret(int which, unsigned char* out, std::size_t* size, const char** error) {
  SSL* ssl = nullptr;
  if (const int rc = find_ssl(0, ssl, error); rc != kOk) return rc;
  switch (which) {
    case 0:
      *size = SSL_get_client_random(ssl, *size == 0 ? nullptr : out, *size);
      break;
    case 1:
      *size = SSL_get_server_random(ssl, *size == 0 ? nullptr : out, *size);
      break;
    default: {
      const SSL_SESSION* session = SSL_get0_session(ssl);
      if (session == nullptr) return refuse(error, "bad session");
      *size = SSL_SESSION_get_master_key(session, *size == 0 ? nullptr : out, *size);
    }
  }
  return kOk;
}

int mp_ssl_export(int early, unsigned char* out, std::size_t size, const char* label, std::size_t label_size,
                  const char* data, std::size_t data_size, int use_data, const char** error) {
  Request* r = request();
  if (r == nullptr) return kNoRequest;
  SSL* ssl = ssl_of(*r, false, error);
  if (ssl == nullptr) return kError;
  const auto* bytes = reinterpret_cast<const unsigned char*>(data);
  const int rc =
      early != 0 ? SSL_export_keying_material_early(ssl, out, size, label, label_size, bytes, data_size)
                 : SSL_export_keying_material(ssl, out, size, label, label_size, bytes, data_size, use_data);
  if (rc == 1) return kOk;
  return refuse(error, early != 0 ? "SSL_export_keying_material_early() failed"
                                  : "SSL_export_keying_material() failed");
}

void* mp_ssl_pointer(int with_upstream, const char** error) {
  Request* r = request();
  if (r == nullptr) {
    *error = nullptr;
    return nullptr;
  }
  if (with_upstream == 0) return ssl_of(*r, false, error);
  if (const auto* data = r->find_ctx<HandshakeData>(); data != nullptr && data->upstream != nullptr) {
    return data->upstream;
  }
  *error = "bad upstream";
  if (const auto* history = r->find_ctx<mp::upstream::History>(); history != nullptr) {
    *error = history->ssl != nullptr ? nullptr : "not ssl connection";
    return history->ssl;
  }
  return nullptr;
}

int mp_ssl_session_reused(const void* ssl) {
  return SSL_session_reused(static_cast<const SSL*>(ssl));
}

// Where 0 stands as long as mp_ctx_handshake_place() is always 0. Stays where it is.
const int* mp_ctx_handshakes() {
  return &handshakes_have_tables;
}

// The slot of the tables that the scripts of this connection's handshake have used; 0: none.
int mp_ctx_handshake_place() {
  Request* r = request();
  const int slot = r != nullptr ? handshake_slot(*r) : 0;
  return slot != 0 ? Vm::ctx_place(slot) : 0;
}
}
