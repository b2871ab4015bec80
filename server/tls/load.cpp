#include "tls/load.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <unistd.h>

#include "base/strings.hpp"

namespace mp::tls {
namespace {

constexpr std::size_t kMaxPassword = 512;  // a line of the file

bool end_of_pem() {
  const unsigned long last = ERR_peek_last_error();
  if (ERR_GET_LIB(last) != ERR_LIB_PEM || ERR_GET_REASON(last) != PEM_R_NO_START_LINE) return false;
  ERR_clear_error();
  return true;
}

BioPtr open_bio(std::string_view name, const char*& error) {
  std::string_view text = name;
  if (consume(text, "data:")) {
    BioPtr bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    if (bio == nullptr) error = "BIO_new_mem_buf() failed";
    return bio;
  }
  BioPtr bio(BIO_new_file(std::string(name).c_str(), "r"));
  if (bio == nullptr) error = "BIO_new_file() failed";
  return bio;
}

CertsPtr read_certificates(BIO* bio, bool leaf_first, const char*& error) {
  CertsPtr chain(sk_X509_new_null());
  if (leaf_first) {
    X509* leaf = PEM_read_bio_X509_AUX(bio, nullptr, nullptr, nullptr);
    if (leaf == nullptr) {
      error = "PEM_read_bio_X509_AUX() failed";
      return nullptr;
    }
    sk_X509_push(chain.get(), leaf);
  }
  for (;;) {
    X509* next = leaf_first ? PEM_read_bio_X509(bio, nullptr, nullptr, nullptr)
                            : PEM_read_bio_X509_AUX(bio, nullptr, nullptr, nullptr);
    if (next != nullptr) {
      sk_X509_push(chain.get(), next);
      continue;
    }
    if (sk_X509_num(chain.get()) > 0 && end_of_pem()) return chain;
    error = leaf_first ? "PEM_read_bio_X509() failed" : "PEM_read_bio_X509_AUX() failed";
    return nullptr;
  }
}

// What the callback of OpenSSL works on: the list, and the one to try.
struct PasswordTry {
  const std::string* password = nullptr;
  bool asked = false;
};

int give_password(char* buffer, int size, int writing, void* data) {
  auto& attempt = *static_cast<PasswordTry*>(data);
  attempt.asked = true;
  if (writing != 0 || attempt.password == nullptr) return 0;
  const std::size_t n = std::min(attempt.password->size(), static_cast<std::size_t>(size));
  attempt.password->copy(buffer, n);
  return static_cast<int>(n);
}

KeyPtr read_key(BIO* bio, const Passwords* passwords, const char*& error, bool& encrypted) {
  PasswordTry attempt;
  const std::size_t tries = passwords != nullptr ? std::max<std::size_t>(1, passwords->list().size()) : 1;
  for (std::size_t i = 0; i < tries; ++i) {
    pem_password_cb* callback = nullptr;
    void* data = nullptr;
    if (passwords != nullptr) {
      attempt.password = i < passwords->list().size() ? &passwords->list()[i] : nullptr;
      callback = give_password;
      data = &attempt;
    }
    KeyPtr key(PEM_read_bio_PrivateKey(bio, nullptr, callback, data));
    if (key != nullptr) {
      encrypted = attempt.asked;
      return key;
    }
    if (i + 1 < tries) {
      ERR_clear_error();
      (void)BIO_reset(bio);
    }
  }
  error = "PEM_read_bio_PrivateKey() failed";
  return nullptr;
}

// Engines are how keys live in hardware with OpenSSL 1; deprecated, and still what people have.
KeyPtr load_engine_key(std::string_view name, const char*& error) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  const std::size_t colon = name.find(':');
  if (colon == std::string_view::npos) {
    error = "invalid syntax";
    return nullptr;
  }
  ENGINE* engine = ENGINE_by_id(std::string(name.substr(0, colon)).c_str());
  if (engine == nullptr) {
    error = "ENGINE_by_id() failed";
    return nullptr;
  }
  KeyPtr key(ENGINE_load_private_key(engine, std::string(name.substr(colon + 1)).c_str(), nullptr, nullptr));
  ENGINE_free(engine);
  if (key == nullptr) error = "ENGINE_load_private_key() failed";
  return key;
#pragma GCC diagnostic pop
}

KeyPtr load_store_key(std::string_view uri, const Passwords* passwords, const char*& error, bool& encrypted) {
  PasswordTry attempt;
  UI_METHOD* method = nullptr;
  if (passwords != nullptr) {
    attempt.password = passwords->list().empty() ? nullptr : &passwords->list().front();
    method = UI_UTIL_wrap_read_pem_callback(give_password, 0);
  }
  OSSL_STORE_CTX* store = OSSL_STORE_open(std::string(uri).c_str(), method, &attempt, nullptr, nullptr);
  KeyPtr key;
  if (store == nullptr) {
    error = "OSSL_STORE_open() failed";
  } else {
    while (key == nullptr && OSSL_STORE_eof(store) == 0) {
      OSSL_STORE_INFO* info = OSSL_STORE_load(store);
      if (info == nullptr) continue;
      if (OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY) {
        key.reset(OSSL_STORE_INFO_get1_PKEY(info));
      }
      OSSL_STORE_INFO_free(info);
    }
    OSSL_STORE_close(store);
    if (key == nullptr) error = "OSSL_STORE_load() failed";
  }
  if (method != nullptr) UI_destroy_method(method);
  encrypted = attempt.asked;
  return key;
}

}  // namespace

// ---- passwords

Passwords::~Passwords() {
  for (std::string& text : list_) OPENSSL_cleanse(text.data(), text.size());
}

Result<Passwords> Passwords::read(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(system_error(errno, "open() \"" + path + "\" failed"));
  Passwords out;
  std::string text;
  char piece[kMaxPassword];
  int error = 0;
  for (;;) {
    const ssize_t n = ::read(fd, piece, sizeof piece);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) error = errno;
    if (n <= 0) break;
    text.append(piece, static_cast<std::size_t>(n));
  }
  ::close(fd);
  OPENSSL_cleanse(piece, sizeof piece);
  bool too_long = false;
  for (std::string_view line : split(std::string_view(text), '\n')) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    too_long |= line.size() >= kMaxPassword;
    if (!line.empty()) out.add(std::string(line));
  }
  OPENSSL_cleanse(text.data(), text.size());
  if (error != 0) return fail(system_error(error, "read() \"" + path + "\" failed"));
  if (too_long) return fail("too long line in \"" + path + "\"", EINVAL);
  return out;
}

// ---- loading

CertsPtr load_certificates(std::string_view name, const char*& error) {
  const BioPtr bio = open_bio(name, error);
  return bio != nullptr ? read_certificates(bio.get(), true, error) : nullptr;
}

CertsPtr load_authorities(std::string_view path, const char*& error) {
  const BioPtr bio = open_bio(path, error);
  return bio != nullptr ? read_certificates(bio.get(), false, error) : nullptr;
}

CrlsPtr load_crls(std::string_view path, const char*& error) {
  const BioPtr bio = open_bio(path, error);
  if (bio == nullptr) return nullptr;
  CrlsPtr list(sk_X509_CRL_new_null());
  for (;;) {
    X509_CRL* next = PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr);
    if (next != nullptr) {
      sk_X509_CRL_push(list.get(), next);
      continue;
    }
    if (sk_X509_CRL_num(list.get()) > 0 && end_of_pem()) return list;
    error = "PEM_read_bio_X509_CRL() failed";
    return nullptr;
  }
}

KeyPtr load_key(std::string_view name, const Passwords* passwords, const char*& error, bool& encrypted) {
  encrypted = false;
  std::string_view rest = name;
  if (consume(rest, "engine:")) return load_engine_key(rest, error);
  if (consume(rest, "store:")) return load_store_key(rest, passwords, error, encrypted);
  const BioPtr bio = open_bio(name, error);
  return bio != nullptr ? read_key(bio.get(), passwords, error, encrypted) : nullptr;
}

CertsPtr parse_certificates(std::string_view pem, const char*& error) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return read_certificates(bio.get(), true, error);
}

KeyPtr parse_key(std::string_view pem, const Passwords* passwords, const char*& error) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  bool encrypted = false;
  return read_key(bio.get(), passwords, error, encrypted);
}

}  // namespace mp::tls
