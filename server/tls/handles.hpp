// Owning handles of OpenSSL objects: unique_ptr with the right free function. Copies are made by the object's
// own reference count (share()).
#pragma once

#include <memory>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace mp::tls {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
inline void free_certs(STACK_OF(X509) * stack) {
  sk_X509_pop_free(stack, X509_free);
}
inline void free_crls(STACK_OF(X509_CRL) * stack) {
  sk_X509_CRL_pop_free(stack, X509_CRL_free);
}
inline void free_openssl(void* memory) {
  OPENSSL_free(memory);
}

using BioPtr = std::unique_ptr<BIO, Freed<BIO_free>>;
using SslPtr = std::unique_ptr<SSL, Freed<SSL_free>>;
using CtxPtr = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using X509Ptr = std::unique_ptr<X509, Freed<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using SessionPtr = std::unique_ptr<SSL_SESSION, Freed<SSL_SESSION_free>>;
using StorePtr = std::unique_ptr<X509_STORE, Freed<X509_STORE_free>>;
using CertsPtr = std::unique_ptr<STACK_OF(X509), Freed<free_certs>>;
using CrlsPtr = std::unique_ptr<STACK_OF(X509_CRL), Freed<free_crls>>;
using TextPtr = std::unique_ptr<char, Freed<free_openssl>>;

inline X509Ptr share(X509* certificate) {
  X509_up_ref(certificate);
  return X509Ptr(certificate);
}
inline KeyPtr share(EVP_PKEY* key) {
  EVP_PKEY_up_ref(key);
  return KeyPtr(key);
}
inline SessionPtr share(SSL_SESSION* session) {
  SSL_SESSION_up_ref(session);
  return SessionPtr(session);
}

}  // namespace mp::tls
