// Stapling: the OCSP responses a server shows together with its certificates. Made when the configuration is
// read; the responses are each worker's own. A response is asked for when a client wants it, by a fiber of
// its own: that client is served without it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "base/result.hpp"
#include "tls/context.hpp"
#include "tls/ocsp_client.hpp"

namespace mp::tls {

class Stapling {
 public:
  struct Options {
    std::string file;       // of one response, for every certificate; empty: ask
    std::string responder;  // empty: the one named in the certificate
    bool verify = false;    // the responder's certificate too
  };
  explicit Stapling(bool verify) : verify_(verify) {}

  // Warnings are texts such as `"ssl_stapling" ignored, issuer certificate not found for certificate "x"`.
  Status prepare(const Context& context, const Options& options, std::vector<std::string>& warnings);

  OcspResolver resolver;
  log::Logger logger;

 private:
  struct Staple {
    X509Ptr certificate, issuer;
    CertsPtr chain;
    std::string name;
    OcspResponder responder;
    std::string response;
    std::int64_t valid = 0;    // Unix time until which it may be shown; 0: none yet
    std::int64_t refresh = 0;  // when to ask again
    bool loading = false;
  };
  static int on_status(SSL* ssl, void* self);
  Status read_file(Staple& staple, const std::string& path);
  bool find_issuer(SSL_CTX* context, Staple& staple, std::vector<std::string>& warnings);
  bool find_responder(Staple& staple, const std::string& configured, std::vector<std::string>& warnings);
  void update(Staple& staple);

  SSL_CTX* context_ = nullptr;
  bool verify_;
  std::vector<std::unique_ptr<Staple>> staples_;
};

}  // namespace mp::tls
