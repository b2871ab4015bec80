// SslServer: the ssl_ directives of one server {}, and the SSL_CTX they make. Belongs to the configuration.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/context.hpp"
#include "conf/setting.hpp"
#include "conf/values.hpp"
#include "http/template.hpp"
#include "tls/context.hpp"
#include "tls/ocsp_client.hpp"
#include "tls/sessions.hpp"
#include "tls/stapling.hpp"

namespace mp::http {

class SslConnection;

enum class VerifyClient : std::uint8_t { off, on, optional, optional_no_ca };
enum class OcspCheck : std::uint8_t { off, on, leaf };

// Code of a server that takes part in handshakes; set by who has any. All run on the fiber of the handshake
// and may park. False, or a null session: the handshake fails, or goes on without.
struct SslHooks {
  bool (*client_hello)(SslConnection& connection, int& alert) = nullptr;
  bool (*certificate)(SslConnection& connection) = nullptr;
};

// ssl_certificate_cache and its like.
struct CertificateCacheSize {
  std::size_t max = 0;  // 0: off
  std::int64_t valid = 60;
  std::int64_t inactive = 10;
};
Status read_value(conf::Context& ctx, const conf::Node& node, CertificateCacheSize& out);

// A file of pass phrases; null: none was named.
struct PasswordList {
  std::shared_ptr<const tls::Passwords> list;
};
Status read_value(conf::Context& ctx, const conf::Node& node, PasswordList& out);

// The file that a configured name of a certificate or key means, relative to `folder`; names that are no
// files stay as they are.
std::string ssl_file_name(std::string_view folder, std::string_view name);

// Of the whole process.
struct SslProcess {
  static constexpr conf::Level kLevel = conf::Level::process;
  conf::Setting<bool> inheritable = true;  // ssl_object_cache_inheritable
  bool engine_set = false;
};

// What is loaded while one configuration is read; one object for its whole http {}.
struct SslMain {
  static constexpr conf::Level kLevel = conf::Level::main;
  tls::ObjectCache objects;
};

struct SslServer {
  static constexpr conf::Level kLevel = conf::Level::server;

  conf::Setting<conf::StringList> certificates;
  conf::Setting<conf::StringList> keys;
  conf::Setting<conf::StringList> ech_files;
  conf::Setting<CertificateCacheSize> certificate_cache;
  conf::Setting<PasswordList> passwords;
  conf::Setting<bool> certificate_compression;
  conf::Setting<conf::ConfPath> dhparam;
  conf::Setting<std::string_view> curves;   // auto
  conf::Setting<std::string_view> ciphers;  // HIGH:!aNULL:!MD5, without CBC
  conf::Setting<std::uint32_t> protocols;   // TLSv1.2 TLSv1.3
  conf::Setting<conf::Size> buffer_size;    // 16k
  conf::Setting<VerifyClient> verify;
  conf::Setting<std::int64_t> verify_depth;  // 1
  conf::Setting<conf::ConfPath> client_certificate;
  conf::Setting<conf::ConfPath> trusted_certificate;
  conf::Setting<conf::ConfPath> crl;
  conf::Setting<bool> prefer_server_ciphers;
  conf::Setting<tls::SessionOptions::Builtin> builtin_cache;
  long builtin_size = 0;
  Zone* session_zone = nullptr;
  conf::Setting<bool> tickets;  // on
  conf::Setting<conf::StringList> ticket_keys;
  conf::Setting<conf::Sec> session_timeout;  // 5m
  conf::Setting<OcspCheck> ocsp;
  conf::Setting<std::string_view> ocsp_responder;
  conf::Setting<Zone*> ocsp_zone;
  conf::Setting<bool> stapling;
  conf::Setting<conf::ConfPath> stapling_file;
  conf::Setting<std::string_view> stapling_responder;
  conf::Setting<bool> stapling_verify;
  conf::Setting<bool> early_data;
  conf::Setting<bool> reject_handshake;
  conf::Setting<conf::KeyValueList> conf_commands;

  // ---- made by merge()
  std::optional<tls::Context> context;  // none: this server has no TLS
  std::unique_ptr<tls::SessionCache> sessions;
  struct NamedCertificate {
    Template certificate, key;
  };
  std::vector<NamedCertificate> named;                // when a name has variables
  std::unique_ptr<tls::ObjectCache> runtime_objects;  // for them
  std::unique_ptr<tls::Stapling> staples;             // null: off
  tls::OcspResponder ocsp_fixed_responder;
  tls::OcspResolver ocsp_resolver;  // that of the server; set by who knows it
  SslHooks hooks;
  bool offers_http2 = false;  // set by HTTP/2: `http2 on` holds in this server

  std::string full_name(std::string_view name) const { return ssl_file_name(folder_, name); }

  Status merge(conf::Context& ctx, const SslServer& parent);
  // Each server that speaks TLS has a context of its own, and what others find out for it.
  bool shared() const { return !context.has_value(); }

 private:
  std::string folder_;  // relative names are below it
  void inherit(const SslServer& parent);
  Status make_context(conf::Context& ctx);
  Status load_certificates(conf::Context& ctx);
  Status set_up_verification(conf::Context& ctx);
  Status set_up_sessions(conf::Context& ctx);
  Status set_up_ocsp(conf::Context& ctx);
};

extern const conf::Module kSslModule;

}  // namespace mp::http
