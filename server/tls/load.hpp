// Certificates, keys and revocation lists out of files, `data:` texts, engines and stores. Blocks on files:
// for configuration time, and for certificates whose names have variables.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "tls/handles.hpp"

namespace mp::tls {

// Pass phrases of private keys; wiped when they go.
class Passwords {
 public:
  Passwords() = default;
  Passwords(Passwords&&) = default;
  Passwords& operator=(Passwords&&) = default;
  Passwords(const Passwords&) = delete;
  Passwords& operator=(const Passwords&) = delete;
  ~Passwords();

  // One to a line. Errors are texts such as `open() "PATH" failed (2: No such file or directory)`.
  static Result<Passwords> read(const std::string& path);

  void add(std::string text) { list_.push_back(std::move(text)); }
  const std::vector<std::string>& list() const { return list_; }

 private:
  std::vector<std::string> list_;
};

// All of these: null when it failed; `error` names the call that did, and OpenSSL's queue has the rest
// (error.hpp: with_errors).

// The certificate of a server or client first, then the chain above it. `name`: a path, or `data:` and PEM
// text.
CertsPtr load_certificates(std::string_view name, const char*& error);
// Certificates that are trusted: at least one.
CertsPtr load_authorities(std::string_view path, const char*& error);
CrlsPtr load_crls(std::string_view path, const char*& error);
// `name`: a path, `data:` and PEM text, `engine:ID:KEY` or `store:URI`. `passwords` null: the terminal is
// asked, which only makes sense while starting. `encrypted` tells that a password was needed.
KeyPtr load_key(std::string_view name, const Passwords* passwords, const char*& error, bool& encrypted);

// Out of memory, for scripts: PEM text, which may be followed by others; DER when there is one.
CertsPtr parse_certificates(std::string_view pem, const char*& error);
KeyPtr parse_key(std::string_view pem, const Passwords* passwords, const char*& error);

}  // namespace mp::tls
