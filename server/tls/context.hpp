// Context: an SSL_CTX and the settings that servers, upstreams and scripts have in common. Errors are
// complete texts for the configuration's reader, file names included; their code is EINVAL.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "tls/handles.hpp"
#include "tls/load.hpp"
#include "tls/object_cache.hpp"

namespace mp::tls {

// Bits of ssl_protocols and its like.
enum Protocol : std::uint32_t {
  kSslV2 = 0x02,
  kSslV3 = 0x04,
  kTlsV1 = 0x08,
  kTlsV1_1 = 0x10,
  kTlsV1_2 = 0x20,
  kTlsV1_3 = 0x40,
};
// SSL_OP_ bits that switch off what is not among `protocols`.
std::uint64_t protocol_options(std::uint32_t protocols);

class Context {
 public:
  // `protocols`: bits of Protocol.
  static Result<Context> make(std::uint32_t protocols);

  SSL_CTX* get() const { return context_.get(); }

  // One more certificate (another kind of key), with its chain and key.
  Status use_certificate(ObjectCache& cache, const std::string& certificate, const std::string& key,
                         const Passwords* passwords);
  Status set_ciphers(const std::string& list, bool prefer_server);
  // Asks clients for a certificate; `file` (may be empty) is trusted, and its names are told to clients.
  Status verify_clients(ObjectCache& cache, const std::string& file, int depth);
  Status trust(ObjectCache& cache, const std::string& file, int depth);
  Status revoke(ObjectCache& cache, const std::string& file);
  Status use_dhparam(const std::string& file);
  Status set_curves(const std::string& list);
  // SSL_CONF commands. `full_name` makes the names of files absolute.
  using Command = std::pair<std::string, std::string>;
  Status run_commands(std::span<const Command> commands, std::string (*full_name)(void*, std::string_view),
                      void* data);
  // Sessions of this context may be resumed where the same text holds, nowhere else.
  Status set_session_identity(std::string_view text);

  // All certificates that were used, also those another of the same kind has replaced in the SSL_CTX.
  const std::vector<X509Ptr>& certificates() const { return certificates_; }
  const std::vector<std::string>& names() const { return names_; }  // of their files
  const std::vector<CertsPtr>& chains() const { return chains_; }   // above them

 private:
  CtxPtr context_;
  std::vector<X509Ptr> certificates_;
  std::vector<std::string> names_;
  std::vector<CertsPtr> chains_;
};

// Gives one connection a certificate: `ssl` in place of the context. The error is a text for the log.
Status use_certificate(SSL* ssl, ObjectCache& cache, const std::string& certificate, const std::string& key,
                       const Passwords* passwords);

}  // namespace mp::tls
