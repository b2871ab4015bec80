// UpstreamSsl: TLS to upstream servers: the settings that each module which passes requests on has under its
// own prefix (proxy_ssl_, ...), and the handshake. A member of the module's own location type, as
// TransferConf is.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "conf/context.hpp"
#include "conf/setters.hpp"
#include "conf/setting.hpp"
#include "conf/values.hpp"
#include "http/ssl_conf.hpp"
#include "http/template.hpp"
#include "tls/client_sessions.hpp"
#include "tls/context.hpp"
#include "upstream/pool.hpp"

namespace mp::upstream {

// Code that takes part in handshakes with upstream servers. Runs on the fiber of the request and may park.
struct UpstreamSslHooks {
  bool (*certificate)(http::Request& request, SSL* ssl) = nullptr;
  // In place of the verification by OpenSSL; the result is that of the connection.
  bool (*verify)(http::Request& request, SSL* ssl, X509_STORE_CTX* store) = nullptr;
};

// What connections with the same settings share.
struct UpstreamSslContext {
  std::optional<tls::Context> context;
  tls::ClientSessions sessions;
};

struct UpstreamSsl {
  conf::Setting<bool> session_reuse;       // on
  conf::Setting<std::uint64_t> protocols;  // TLSv1.2 TLSv1.3
  conf::Setting<std::string_view> ciphers;
  conf::Setting<http::Template> name;  // the host of the URL
  conf::Setting<bool> server_name;
  conf::Setting<bool> verify;
  conf::Setting<std::int64_t> verify_depth;  // 1
  conf::Setting<conf::ConfPath> trusted_certificate;
  conf::Setting<conf::ConfPath> crl;
  conf::Setting<http::Template> certificate;
  conf::Setting<http::Template> key;
  conf::Setting<http::CertificateCacheSize> certificate_cache;
  conf::Setting<http::PasswordList> passwords;
  conf::Setting<conf::KeyValueList> conf_commands;
  UpstreamSslHooks hooks;

  // `prefix` is "proxy". `used`: this location speaks TLS, so that the context is needed.
  Status merge(conf::Context& ctx, const UpstreamSsl& parent, std::string_view prefix, bool used);

  // What a connection is beside its address: two with different identities never stand for each other.
  // `host`: of the URL, with its port or not; `alpn`: in wire format.
  std::string_view identity(http::Request& request, std::string_view host, std::string_view alpn) const;

  // The SSL of a link that has made its handshake.
  static SSL* of(const Link& link);

  enum class Outcome : std::uint8_t { done, timeout, failed, misconfigured };
  // On a connected link. What fails is logged. Parks.
  Outcome handshake(http::Request& request, Link& link, std::string_view host, std::string_view alpn,
                    fiber::Msec deadline) const;

 private:
  bool differs() const;
  Status make_context(conf::Context& ctx, std::string_view prefix);
  std::string_view peer_name(http::Request& request, std::string_view host) const;

  std::shared_ptr<UpstreamSslContext> shared_;
  std::shared_ptr<tls::ObjectCache> runtime_objects_;
  bool named_certificate_ = false;  // its name has variables
  std::string folder_;
};

Status parse_ssl_protocols(conf::Context& ctx, const conf::Node& node, conf::Setting<std::uint64_t>& setting);

}  // namespace mp::upstream
