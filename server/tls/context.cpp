#include "tls/context.hpp"

#include <cerrno>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "tls/error.hpp"
#include "tls/stream.hpp"

namespace mp::tls {
namespace {

tl::unexpected<Error> refuse(const std::string& text) {
  return fail(with_errors(text), EINVAL);
}

// A failed verification ends no handshake: requests are refused, with an answer, after it.
int note_result(int, X509_STORE_CTX*) {
  return 1;
}

int compare_names(const X509_NAME* const* a, const X509_NAME* const* b) {
  return X509_NAME_cmp(*a, *b);
}

bool keys_differ() {
  const unsigned long last = ERR_peek_last_error();
  return ERR_GET_LIB(last) == ERR_LIB_X509 && ERR_GET_REASON(last) == X509_R_KEY_VALUES_MISMATCH;
}

// What an SSL_CTX and an SSL have in common here.
struct Target {
  SSL_CTX* context = nullptr;
  SSL* ssl = nullptr;

  bool certificate(X509* x) const {
    return (ssl != nullptr ? SSL_use_certificate(ssl, x) : SSL_CTX_use_certificate(context, x)) == 1;
  }
  bool chain(STACK_OF(X509) * chain) const {
    return (ssl != nullptr ? SSL_set0_chain(ssl, chain) : SSL_CTX_set0_chain(context, chain)) == 1;
  }
  bool key(EVP_PKEY* key) const {
    return (ssl != nullptr ? SSL_use_PrivateKey(ssl, key) : SSL_CTX_use_PrivateKey(context, key)) == 1;
  }
  std::string prefix() const { return ssl != nullptr ? "SSL_" : "SSL_CTX_"; }
};

Result<X509Ptr> install(const Target& to, ObjectCache& cache, const std::string& name,
                        const std::string& key_name, const Passwords* passwords) {
  for (bool again = false;; again = true) {
    const char* error = "";
    CertsPtr chain = cache.certificates(name, error, again);
    if (chain == nullptr) return refuse("cannot load certificate \"" + name + "\": " + error);
    X509Ptr leaf(sk_X509_shift(chain.get()));
    if (!to.certificate(leaf.get())) return refuse(to.prefix() + "use_certificate(\"" + name + "\") failed");
    if (!to.chain(chain.get())) return refuse(to.prefix() + "set0_chain(\"" + name + "\") failed");
    (void)chain.release();
    const KeyPtr key = cache.key(key_name, passwords, error, again);
    if (key == nullptr) return refuse("cannot load certificate key \"" + key_name + "\": " + error);
    if (to.key(key.get())) return leaf;
    // One of the files may have been replaced before the other was.
    if (again || !keys_differ()) return refuse(to.prefix() + "use_PrivateKey(\"" + key_name + "\") failed");
    ERR_clear_error();
  }
}

}  // namespace

std::uint64_t protocol_options(std::uint32_t protocols) {
  std::uint64_t options = 0;
  if (!(protocols & kSslV3)) options |= SSL_OP_NO_SSLv3;
  if (!(protocols & kTlsV1)) options |= SSL_OP_NO_TLSv1;
  if (!(protocols & kTlsV1_1)) options |= SSL_OP_NO_TLSv1_1;
  if (!(protocols & kTlsV1_2)) options |= SSL_OP_NO_TLSv1_2;
  if (!(protocols & kTlsV1_3)) options |= SSL_OP_NO_TLSv1_3;
  return options;
}

Result<Context> Context::make(std::uint32_t protocols) {
  Context c;
  c.context_.reset(SSL_CTX_new(TLS_method()));
  if (c.context_ == nullptr) return refuse("SSL_CTX_new() failed");
  prepare_context(c.get());
  SSL_CTX_set_min_proto_version(c.get(), 0);
  SSL_CTX_set_max_proto_version(c.get(), 0);
  SSL_CTX_clear_options(c.get(), SSL_OP_NO_SSL_MASK);
  SSL_CTX_set_options(c.get(), protocol_options(protocols));
  return c;
}

Status Context::use_certificate(ObjectCache& cache, const std::string& certificate, const std::string& key,
                                const Passwords* passwords) {
  auto leaf = install({get(), nullptr}, cache, certificate, key, passwords);
  if (!leaf) return fail(std::move(leaf.error()));
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs(get(), &chain);
  chains_.emplace_back(chain != nullptr ? X509_chain_up_ref(chain) : sk_X509_new_null());
  certificates_.push_back(std::move(*leaf));
  names_.push_back(certificate);
  return {};
}

Status use_certificate(SSL* ssl, ObjectCache& cache, const std::string& certificate, const std::string& key,
                       const Passwords* passwords) {
  auto leaf = install({nullptr, ssl}, cache, certificate, key, passwords);
  if (!leaf) return fail(std::move(leaf.error()));
  return {};
}

Status Context::set_ciphers(const std::string& list, bool prefer_server) {
  if (SSL_CTX_set_cipher_list(get(), list.c_str()) == 0) {
    return refuse("SSL_CTX_set_cipher_list(\"" + list + "\") failed");
  }
  if (prefer_server) SSL_CTX_set_options(get(), SSL_OP_CIPHER_SERVER_PREFERENCE);
  return {};
}

Status Context::verify_clients(ObjectCache& cache, const std::string& file, int depth) {
  SSL_CTX_set_verify(get(), SSL_VERIFY_PEER, note_result);
  SSL_CTX_set_verify_depth(get(), depth);
  if (file.empty()) return {};
  TRY(trust(cache, file, depth));
  const char* error = "";
  const CertsPtr list = cache.authorities(file, error);
  STACK_OF(X509_NAME)* names = sk_X509_NAME_new(compare_names);
  for (int i = 0; list != nullptr && i < sk_X509_num(list.get()); ++i) {
    X509_NAME* name = X509_NAME_dup(X509_get_subject_name(sk_X509_value(list.get(), i)));
    if (name == nullptr || sk_X509_NAME_find(names, name) >= 0 || sk_X509_NAME_push(names, name) == 0) {
      X509_NAME_free(name);
    }
  }
  SSL_CTX_set_client_CA_list(get(), names);
  return {};
}

Status Context::trust(ObjectCache& cache, const std::string& file, int depth) {
  SSL_CTX_set_verify(get(), SSL_CTX_get_verify_mode(get()), note_result);
  SSL_CTX_set_verify_depth(get(), depth);
  if (file.empty()) return {};
  const char* error = "";
  const CertsPtr list = cache.authorities(file, error);
  if (list == nullptr) return refuse("cannot load certificate \"" + file + "\": " + error);
  X509_STORE* store = SSL_CTX_get_cert_store(get());
  for (int i = 0; i < sk_X509_num(list.get()); ++i) {
    if (X509_STORE_add_cert(store, sk_X509_value(list.get(), i)) != 1) {
      return refuse("X509_STORE_add_cert(\"" + file + "\") failed");
    }
  }
  return {};
}

Status Context::revoke(ObjectCache& cache, const std::string& file) {
  if (file.empty()) return {};
  const char* error = "";
  const CrlsPtr list = cache.crls(file, error);
  if (list == nullptr) return refuse("cannot load CRL \"" + file + "\": " + error);
  X509_STORE* store = SSL_CTX_get_cert_store(get());
  for (int i = 0; i < sk_X509_CRL_num(list.get()); ++i) {
    if (X509_STORE_add_crl(store, sk_X509_CRL_value(list.get(), i)) != 1) {
      return refuse("X509_STORE_add_crl(\"" + file + "\") failed");
    }
  }
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  return {};
}

Status Context::use_dhparam(const std::string& file) {
  if (file.empty()) return {};
  const BioPtr bio(BIO_new_file(file.c_str(), "r"));
  if (bio == nullptr) return refuse("BIO_new_file(\"" + file + "\") failed");
  KeyPtr parameters(PEM_read_bio_Parameters(bio.get(), nullptr));
  if (parameters == nullptr) return refuse("PEM_read_bio_Parameters(\"" + file + "\") failed");
  if (SSL_CTX_set0_tmp_dh_pkey(get(), parameters.get()) != 1) {
    return refuse("SSL_CTX_set0_tmp_dh_pkey(\"" + file + "\") failed");
  }
  (void)parameters.release();
  return {};
}

Status Context::set_curves(const std::string& list) {
  if (list == "auto") return {};
  if (SSL_CTX_set1_curves_list(get(), list.c_str()) == 0) {
    return refuse("SSL_CTX_set1_curves_list(\"" + list + "\") failed");
  }
  return {};
}

Status Context::run_commands(std::span<const Command> commands,
                             std::string (*full_name)(void*, std::string_view), void* data) {
  if (commands.empty()) return {};
  const std::unique_ptr<SSL_CONF_CTX, Freed<SSL_CONF_CTX_free>> conf(SSL_CONF_CTX_new());
  if (conf == nullptr) return refuse("SSL_CONF_CTX_new() failed");
  SSL_CONF_CTX_set_flags(conf.get(), SSL_CONF_FLAG_FILE | SSL_CONF_FLAG_SERVER | SSL_CONF_FLAG_CLIENT |
                                         SSL_CONF_FLAG_CERTIFICATE | SSL_CONF_FLAG_SHOW_ERRORS);
  SSL_CONF_CTX_set_ssl_ctx(conf.get(), get());
  for (const auto& [name, text] : commands) {
    std::string value = text;
    const int type = SSL_CONF_cmd_value_type(conf.get(), name.c_str());
    if (type == SSL_CONF_TYPE_FILE || type == SSL_CONF_TYPE_DIR) value = full_name(data, value);
    if (SSL_CONF_cmd(conf.get(), name.c_str(), value.c_str()) <= 0) {
      return refuse("SSL_CONF_cmd(\"" + name + "\", \"" + value + "\") failed");
    }
  }
  if (SSL_CONF_CTX_finish(conf.get()) != 1) return refuse("SSL_CONF_finish() failed");
  return {};
}

Status Context::set_session_identity(std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr) != 1 ||
      SSL_CTX_set_session_id_context(get(), digest, size) != 1) {
    return refuse("SSL_CTX_set_session_id_context() failed");
  }
  return {};
}

}  // namespace mp::tls
