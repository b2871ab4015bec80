// A server's and a client's stream over a pair of connected sockets, for tests. The certificate is made here.
#pragma once

#include <array>
#include <memory>
#include <string>

#include <fcntl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include "fiber/scheduler.hpp"
#include "net/socket.hpp"
#include "tls/context.hpp"
#include "tls/stream.hpp"

namespace mp::tls::test {

inline KeyPtr new_key() {
  return KeyPtr(EVP_EC_gen("P-256"));
}

inline X509Ptr self_signed(EVP_PKEY* key, const char* name) {
  X509Ptr certificate(X509_new());
  X509* c = certificate.get();
  X509_set_version(c, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(c), 1);
  X509_gmtime_adj(X509_getm_notBefore(c), -60);
  X509_gmtime_adj(X509_getm_notAfter(c), 86400);
  X509_set_pubkey(c, key);
  X509_NAME* subject = X509_get_subject_name(c);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name), -1,
                             -1, 0);
  X509_set_issuer_name(c, subject);
  X509_sign(c, key, EVP_sha256());
  return certificate;
}

inline Context server_context(std::uint32_t protocols = kTlsV1_2 | kTlsV1_3) {
  Context context = *Context::make(protocols);
  const KeyPtr key = new_key();
  const X509Ptr certificate = self_signed(key.get(), "test");
  SSL_CTX_use_certificate(context.get(), certificate.get());
  SSL_CTX_use_PrivateKey(context.get(), key.get());
  return context;
}

struct Pair {
  net::Socket server, client;
  Stream* server_stream = nullptr;
  Stream* client_stream = nullptr;

  Pair(SSL_CTX* server_context, SSL_CTX* client_context) {
    int fds[2];
    (void)!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds);
    (void)server.adopt(fds[0]);
    (void)client.adopt(fds[1]);
    auto s = Stream::accept(server_context);
    auto c = Stream::connect(client_context);
    server_stream = s.get();
    client_stream = c.get();
    server.set_layer(std::move(s));
    client.set_layer(std::move(c));
  }
};

}  // namespace mp::tls::test
