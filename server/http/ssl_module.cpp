// The ssl_ directives of servers.
#include <algorithm>
#include <cerrno>

#include <fmt/core.h>
#include <openssl/engine.h>
#include <unistd.h>

#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "conf/configuration.hpp"
#include "conf/process_conf.hpp"
#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "http/server_select.hpp"
#include "http/ssl_conf.hpp"
#include "http/ssl_connection.hpp"
#include "http/ssl_variables.hpp"
#include "tls/error.hpp"

namespace mp::http {
namespace {

using conf::Context;
using conf::Directive;
using conf::exactly;
using conf::flag;
using conf::kHttpServer;
using conf::Named;
using conf::Node;
using conf::set;
using conf::set_bits;
using conf::set_enum;
using Builtin = tls::SessionOptions::Builtin;

constexpr char kSessionZone = 0;
constexpr char kOcspZone = 0;

constexpr Named<std::uint32_t> kProtocols[] = {{"SSLv2", tls::kSslV2},     {"SSLv3", tls::kSslV3},
                                               {"TLSv1", tls::kTlsV1},     {"TLSv1.1", tls::kTlsV1_1},
                                               {"TLSv1.2", tls::kTlsV1_2}, {"TLSv1.3", tls::kTlsV1_3}};
constexpr Named<VerifyClient> kVerify[] = {{"off", VerifyClient::off},
                                           {"on", VerifyClient::on},
                                           {"optional", VerifyClient::optional},
                                           {"optional_no_ca", VerifyClient::optional_no_ca}};
constexpr Named<OcspCheck> kOcsp[] = {
    {"off", OcspCheck::off}, {"on", OcspCheck::on}, {"leaf", OcspCheck::leaf}};

// "shared:NAME:SIZE". Null and no error: it is something else.
Result<Zone*> read_shared(Context& ctx, const conf::Arg& arg, const char* what, ZoneTag tag) {
  std::string_view text = arg.text;
  const auto parts = consume(text, "shared:") ? split_once(text, ':') : std::nullopt;
  const auto size = parts && !parts->first.empty() ? parse_size(parts->second) : std::nullopt;
  if (!size) return ctx.error(arg, fmt::format("invalid {} \"{}\"", what, arg.text));
  if (*size < 8 * sysconf(_SC_PAGESIZE)) {
    return ctx.error(arg, fmt::format("{} \"{}\" is too small", what, arg.text));
  }
  auto zone = ctx.configuration().root().get<conf::ProcessWide>().zones.declare(
      parts->first, static_cast<std::size_t>(*size), tag);
  if (!zone) return ctx.error(zone.error().text);
  return *zone;
}

Status parse_session_cache(Context& ctx, const Node& node) {
  auto& c = ctx.conf<SslServer>();
  for (const conf::Arg& arg : node.args) {
    std::string_view text = arg.text;
    if (text == "off") {
      c.builtin_cache.set(Builtin::off);
    } else if (text == "none") {
      c.builtin_cache.set(Builtin::none);
    } else if (text == "builtin") {
      c.builtin_cache.set(Builtin::standard);
    } else if (consume(text, "builtin:")) {
      const auto size = parse_natural<long>(text);
      if (!size) return ctx.error(arg, fmt::format("invalid session cache \"{}\"", arg.text));
      c.builtin_size = *size;
      c.builtin_cache.set(Builtin::sized);
    } else {
      auto zone = read_shared(ctx, arg, "session cache", &kSessionZone);
      if (!zone) return fail(zone.error());
      c.session_zone = *zone;
      tls::SharedSessions::use(**zone);
    }
  }
  if (c.session_zone != nullptr && !c.builtin_cache.is_set()) c.builtin_cache.set(Builtin::shared_only);
  return {};
}

Status parse_ocsp_cache(Context& ctx, const Node& node) {
  auto& c = ctx.conf<SslServer>();
  if (c.ocsp_zone.is_set()) return conf::duplicate();
  if (node.args[0].text == "off") {
    c.ocsp_zone.set(nullptr);
    return {};
  }
  auto zone = read_shared(ctx, node.args[0], "OCSP cache", &kOcspZone);
  if (!zone) return fail(zone.error());
  c.ocsp_zone.set(*zone);
  tls::SharedSessions::use(**zone);
  return {};
}

// Engines are how keys live in hardware with OpenSSL 1; deprecated, and still what people have.
Status parse_engine(Context& ctx, const Node& node) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  auto& process = ctx.configuration().root().get<SslProcess>();
  if (std::exchange(process.engine_set, true)) return conf::duplicate();
  const std::string name(node.args[0].text);
  ENGINE* engine = ENGINE_by_id(name.c_str());
  if (engine == nullptr) {
    return ctx.error(node.args[0], tls::with_errors(fmt::format("ENGINE_by_id(\"{}\") failed", name)));
  }
  const bool set = ENGINE_set_default(engine, ENGINE_METHOD_ALL) != 0;
  ENGINE_free(engine);
  if (set) return {};
  return ctx.error(node.args[0], tls::with_errors(fmt::format(
                                     "ENGINE_set_default(\"{}\", ENGINE_METHOD_ALL) failed", name)));
#pragma GCC diagnostic pop
}

constexpr Directive kDirectives[] = {
    {.name = "ssl_engine", .where = conf::Scope::main, .args = exactly(1), .parse = parse_engine},
    {.name = "ssl_object_cache_inheritable",
     .where = conf::Scope::main,
     .args = flag(),
     .parse = set<&SslProcess::inheritable>},
    {.name = "ssl_certificate",
     .where = kHttpServer,
     .args = exactly(1),
     .parse = set<&SslServer::certificates>},
    {.name = "ssl_certificate_key", .where = kHttpServer, .args = exactly(1), .parse = set<&SslServer::keys>},
    {.name = "ssl_certificate_cache",
     .where = kHttpServer,
     .args = conf::between(1, 3),
     .parse = set<&SslServer::certificate_cache>},
    {.name = "ssl_ech_file", .where = kHttpServer, .args = exactly(1), .parse = set<&SslServer::ech_files>},
    {.name = "ssl_password_file",
     .where = kHttpServer,
     .args = exactly(1),
     .parse = set<&SslServer::passwords>},
    {.name = "ssl_certificate_compression",
     .where = kHttpServer,
     .args = flag(),
     .parse = set<&SslServer::certificate_compression>},
    {.name = "ssl_dhparam", .where = kHttpServer, .args = exactly(1), .parse = set<&SslServer::dhparam>},
    {.name = "ssl_ecdh_curve", .where = kHttpServer, .args = exactly(1), .parse = set<&SslServer::curves>},
    {.name = "ssl_protocols",
     .where = kHttpServer,
     .args = conf::at_least(1),
     .parse = set_bits<&SslServer::protocols, kProtocols>},
    {.name = "ssl_ciphers", .where = kHttpServer, .args = exactly(1), .parse = set<&SslServer::ciphers>},
    {.name = "ssl_buffer_size",
     .where = kHttpServer,
     .args = exactly(1),
     .parse = set<&SslServer::buffer_size>},
    {.name = "ssl_verify_client",
     .where = kHttpServer,
     .args = exactly(1),
     .parse = set_enum<&SslServer::verify, kVerify>},
    {.name = "ssl_verify_depth",
     .where = kHttpServer,
     .args = exactly(1),
     .parse = set<&SslServer::verify_depth>},
    {.name = "ssl_client_certificate",
     .where = kHttpServer,
     .args = exactly(1),
     .parse = set<&SslServer::client_certificate>},
    {.name = "ssl_trusted_certificate",
     .where = kHttpServer,
     .args = exactly(1),
     .parse = set<&SslServer::trusted_certificate>},
    {.name = "ssl_prefer_server_ciphers",
     .where = kHttpServer,
     .args = flag(),
     .parse = set<&SslServer::prefer_server_ciphers>},
    {.name = "ssl_session_cache",
     .where = kHttpServer,
     .args = conf::between(1, 2),
     .parse = parse_session_cache},
    {.name = "ssl_session_tickets", .where = kHttpServer, .args = flag(), .parse = set<&SslServer::tickets>},
    {.name = "ssl_session_ticket_key",
     .where = kHttpServer,
     .args = exactly(1),
     .parse = set<&SslServer::ticket_keys>},
    {.name = "ssl_session_timeout",
     .where = kHttpServer,
     .args = exactly(1),
     .parse = set<&SslServer::session_timeout>},
    {.name = "ssl_crl", .where = kHttpServer, .args = exactly(1), .parse = set<&SslServer::crl>},
    {.name = "ssl_ocsp",
     .where = kHttpServer,
     .args = exactly(1),
     .parse = set_enum<&SslServer::ocsp, kOcsp>},
    {.name = "ssl_ocsp_responder",
     .where = kHttpServer,
     .args = exactly(1),
     .parse = set<&SslServer::ocsp_responder>},
    {.name = "ssl_ocsp_cache", .where = kHttpServer, .args = exactly(1), .parse = parse_ocsp_cache},
    {.name = "ssl_stapling", .where = kHttpServer, .args = flag(), .parse = set<&SslServer::stapling>},
    {.name = "ssl_stapling_file",
     .where = kHttpServer,
     .args = exactly(1),
     .parse = set<&SslServer::stapling_file>},
    {.name = "ssl_stapling_responder",
     .where = kHttpServer,
     .args = exactly(1),
     .parse = set<&SslServer::stapling_responder>},
    {.name = "ssl_stapling_verify",
     .where = kHttpServer,
     .args = flag(),
     .parse = set<&SslServer::stapling_verify>},
    {.name = "ssl_early_data", .where = kHttpServer, .args = flag(), .parse = set<&SslServer::early_data>},
    {.name = "ssl_conf_command",
     .where = kHttpServer,
     .args = exactly(2),
     .parse = set<&SslServer::conf_commands>},
    {.name = "ssl_reject_handshake",
     .where = kHttpServer,
     .args = flag(),
     .parse = set<&SslServer::reject_handshake>},
};

constexpr conf::ConfType kConfs[] = {conf::conf_type<SslProcess>(), conf::conf_type<SslMain>(),
                                     conf::conf_type<SslServer>()};

Status before_http(Context& ctx) {
  define_ssl_variables(ctx.conf<CoreMain>().variables);
  // What a reload finds unchanged is not read again.
  const conf::Configuration* before = ctx.configuration().options().previous;
  if (before != nullptr && before->root()[conf::Level::main] != nullptr &&
      before->root().get<SslProcess>().inheritable) {
    ctx.conf<SslMain>().objects.inherit_from(&before->root().get<SslMain>().objects);
  }
  return {};
}

Status no_certificate(Context& ctx, const Server& server) {
  const conf::Node& block = *server.sets[conf::Level::server]->node;
  return ctx.error(block, "no \"ssl_certificate\" is defined for the \"listen ... ssl\" directive");
}

// Each address that speaks TLS has a certificate for clients that name no server.
Status check_addresses(Context& ctx) {
  ctx.conf<SslMain>().objects.inherit_from(nullptr);
  const auto& addresses = ctx.conf<CoreMain>().addresses;
  if (addresses == nullptr) return {};
  for (const auto& address : addresses->all) {
    if (!address->tls) continue;
    const auto& first = address->default_server->sets.get<SslServer>();
    if (!first.certificates.get().empty()) continue;
    if (!first.reject_handshake) return no_certificate(ctx, *address->default_server);
    for (const Server* server : address->servers) {
      const auto& c = server->sets.get<SslServer>();
      if (c.certificates.get().empty() && !c.reject_handshake) return no_certificate(ctx, *server);
    }
  }
  return {};
}

}  // namespace

// ---- values

Status read_value(Context& ctx, const Node& node, CertificateCacheSize& out) {
  bool off = false;
  for (const conf::Arg& arg : node.args) {
    std::string_view text = arg.text;
    auto seconds = [&](std::int64_t& into) {
      const auto value = parse_seconds(text);
      if (value) into = *value;
      return value.has_value();
    };
    bool good;
    if (consume(text, "max=")) {
      const auto max = parse_natural<std::int64_t>(text);
      good = max && *max > 0;
      if (good) out.max = static_cast<std::size_t>(*max);
    } else if (consume(text, "inactive=")) {
      good = seconds(out.inactive);
    } else if (consume(text, "valid=")) {
      good = seconds(out.valid);
    } else {
      good = off = text == "off";
    }
    if (!good) return ctx.error(arg, fmt::format("invalid parameter \"{}\"", arg.text));
  }
  if (off) {
    out.max = 0;
  } else if (out.max == 0) {
    return ctx.error(node, fmt::format("\"{}\" must have the \"max\" parameter", node.name));
  }
  return {};
}

Status read_value(Context& ctx, const Node& node, PasswordList& out) {
  auto list = tls::Passwords::read(std::string(ctx.full_conf_path(node.args[0].text)));
  if (!list) return ctx.error(node.args[0], list.error().text);
  out.list = std::make_shared<const tls::Passwords>(std::move(*list));
  return {};
}

std::string ssl_file_name(std::string_view folder, std::string_view name) {
  if (name.starts_with('/') || name.starts_with("data:") || name.starts_with("engine:") ||
      name.starts_with("store:")) {
    return std::string(name);
  }
  return std::string(folder).append(name);
}

constexpr conf::Module kSslModule = {.name = "ssl",
                                     .directives = kDirectives,
                                     .confs = kConfs,
                                     .before_http = before_http,
                                     .after_http = check_addresses};

}  // namespace mp::http
