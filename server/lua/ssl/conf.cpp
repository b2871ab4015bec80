#include "lua/ssl/conf.hpp"

#include <fmt/core.h>

#include "base/open_files.hpp"
#include "conf/configuration.hpp"
#include "conf/setters.hpp"
#include "http/ssl_conf.hpp"
#include "lua/conf.hpp"
#include "lua/hooks/ssl.hpp"
#include "upstream/proxy.hpp"

namespace mp::lua {
namespace {

using conf::Block;
using conf::Directive;
using conf::Node;
using conf::Scope;

constexpr conf::Named<std::uint32_t> kProtocols[] = {{"SSLv2", tls::kSslV2},     {"SSLv3", tls::kSslV3},
                                                     {"TLSv1", tls::kTlsV1},     {"TLSv1.1", tls::kTlsV1_1},
                                                     {"TLSv1.2", tls::kTlsV1_2}, {"TLSv1.3", tls::kTlsV1_3}};

template <auto Member>
Status code(conf::Context& ctx, const Node& node) {
  Chunk*& chunk = conf::detail::setting_of<Member>(ctx);
  if (chunk != nullptr) return conf::duplicate();
  auto made = make_chunk(ctx, node);
  if (!made) return fail(std::move(made.error()));
  chunk = *made;
  ctx.conf<LuaMain>().wanted = true;
  return {};
}

// Of handshakes with upstream servers. The proxy's settings have the hooks that run it, so they are this
// block's own.
template <auto Member>
Status proxy_code(conf::Context& ctx, const Node& node) {
  ctx.conf<upstream::ProxyConf>();
  return code<Member>(ctx, node);
}

template <auto Member>
constexpr Directive proxy_block(std::string_view name) {
  return {.name = name, .where = conf::kLocationOrIf, .block = Block::lua, .parse = proxy_code<Member>};
}
template <auto Member>
constexpr Directive proxy_file(std::string_view name) {
  return {.name = name, .where = conf::kLocationOrIf, .args = conf::exactly(1), .parse = proxy_code<Member>};
}
template <auto Member>
constexpr Directive block(std::string_view name, Scope where) {
  return {.name = name, .where = where, .block = Block::lua, .parse = code<Member>};
}
template <auto Member>
constexpr Directive file(std::string_view name, Scope where) {
  return {.name = name, .where = where, .args = conf::exactly(1), .parse = code<Member>};
}
template <auto Member>
constexpr Directive plain(std::string_view name, conf::Arity args = conf::exactly(1)) {
  return {.name = name, .where = conf::kHttpServerLocation, .args = args, .parse = conf::set<Member>};
}

constexpr Directive kDirectives[] = {
    {.name = "lua_ssl_protocols",
     .where = conf::kHttpServerLocation,
     .args = conf::at_least(1),
     .parse = conf::set_bits<&LuaSsl::protocols, kProtocols>},
    plain<&LuaSsl::ciphers>("lua_ssl_ciphers"),
    plain<&LuaSsl::certificates>("lua_ssl_certificate"),
    plain<&LuaSsl::keys>("lua_ssl_certificate_key"),
    plain<&LuaSsl::verify_depth>("lua_ssl_verify_depth"),
    plain<&LuaSsl::trusted_certificate>("lua_ssl_trusted_certificate"),
    plain<&LuaSsl::crl>("lua_ssl_crl"),
    plain<&LuaSsl::key_log>("lua_ssl_key_log"),
    plain<&LuaSsl::conf_commands>("lua_ssl_conf_command", conf::exactly(2)),
    {.name = "lua_upstream_skip_openssl_default_verify",
     .where = conf::kLocationOrIf,
     .args = conf::flag(),
     .parse = conf::set<&LuaSsl::skip_default_verify>},

    block<&LuaServer::ssl_client_hello>("ssl_client_hello_by_lua_block", conf::kHttpServer),
    file<&LuaServer::ssl_client_hello>("ssl_client_hello_by_lua_file", conf::kHttpServer),
    block<&LuaServer::ssl_certificate>("ssl_certificate_by_lua_block", conf::kHttpServer),
    file<&LuaServer::ssl_certificate>("ssl_certificate_by_lua_file", conf::kHttpServer),
    block<&LuaServer::ssl_session_fetch>("ssl_session_fetch_by_lua_block", Scope::http),
    file<&LuaServer::ssl_session_fetch>("ssl_session_fetch_by_lua_file", Scope::http),
    block<&LuaServer::ssl_session_store>("ssl_session_store_by_lua_block", Scope::http),
    file<&LuaServer::ssl_session_store>("ssl_session_store_by_lua_file", Scope::http),
    proxy_block<&LuaLocation::proxy_ssl_certificate>("proxy_ssl_certificate_by_lua_block"),
    proxy_file<&LuaLocation::proxy_ssl_certificate>("proxy_ssl_certificate_by_lua_file"),
    proxy_block<&LuaLocation::proxy_ssl_verify>("proxy_ssl_verify_by_lua_block"),
    proxy_file<&LuaLocation::proxy_ssl_verify>("proxy_ssl_verify_by_lua_file"),
};

constexpr conf::ConfType kConfs[] = {conf::conf_type<LuaSsl>()};

Status set_hooks(conf::Context& ctx) {
  TRY(set_handshake_hooks(ctx));
  return set_proxy_hooks(ctx);
}

int key_log_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

void log_keys(const SSL* ssl, const char* line) {
  auto* const out = static_cast<OpenFile*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), key_log_index()));
  if (out != nullptr) (void)out->append(std::string(line) + "\n");
}

}  // namespace

bool LuaSsl::differs() const {
  return protocols.is_set() || ciphers.is_set() || certificates.is_set() || keys.is_set() ||
         verify_depth.is_set() || trusted_certificate.is_set() || crl.is_set() || key_log.is_set() ||
         conf_commands.is_set();
}

Status LuaSsl::merge(conf::Context& ctx, const LuaSsl& parent) {
  const bool own = differs();
  protocols.inherit(parent.protocols, tls::kTlsV1 | tls::kTlsV1_1 | tls::kTlsV1_2 | tls::kTlsV1_3);
  ciphers.inherit(parent.ciphers, "DEFAULT");
  certificates.inherit(parent.certificates);
  keys.inherit(parent.keys);
  verify_depth.inherit(parent.verify_depth, 1);
  trusted_certificate.inherit(parent.trusted_certificate);
  crl.inherit(parent.crl);
  key_log.inherit(parent.key_log);
  conf_commands.inherit(parent.conf_commands);
  skip_default_verify.inherit(parent.skip_default_verify, false);
  if (!own && parent.shared_ != nullptr) {
    shared_ = parent.shared_;
  } else {
    shared_ = std::make_shared<Shared>();
    // What is the same everywhere in http {} is made once.
    if (!own) const_cast<LuaSsl&>(parent).shared_ = shared_;
  }
  const bool wanted = own || differs();
  if (wanted && !shared_->context) TRY(make_context(ctx));
  return {};
}

Status LuaSsl::make_context(conf::Context& ctx) {
  const auto& names = certificates.get();
  if (!names.empty() && keys.get().size() < names.size()) {
    return ctx.error(
        fmt::format("no \"lua_ssl_certificate_key\" is defined for certificate \"{}\"", names.back()));
  }
  auto made = tls::Context::make(protocols);
  if (!made) return fail(made.error());
  tls::Context& context = shared_->context.emplace(std::move(*made));
  auto& objects = ctx.conf<http::SslMain>().objects;
  TRY(context.set_ciphers(std::string(ciphers.get()), false));
  for (std::size_t i = 0; i < names.size(); ++i) {
    TRY(context.use_certificate(objects, std::string(ctx.full_conf_path(names[i])),
                                std::string(ctx.full_conf_path(keys.get()[i])), nullptr));
  }
  if (!trusted_certificate->text.empty()) {
    TRY(context.trust(objects, std::string(trusted_certificate->text), static_cast<int>(verify_depth.get())));
  }
  TRY(context.revoke(objects, std::string(crl->text)));
  if (!key_log->text.empty()) {
    SSL_CTX_set_ex_data(context.get(), key_log_index(), ctx.open_file(key_log->text));
    SSL_CTX_set_keylog_callback(context.get(), log_keys);
  }
  std::vector<tls::Context::Command> commands;
  for (const conf::KeyValue& c : conf_commands.get()) commands.emplace_back(c.key, c.value);
  return context.run_commands(
      commands,
      [](void* data, std::string_view path) {
        return std::string(static_cast<conf::Context*>(data)->full_conf_path(path));
      },
      &ctx);
}

SSL_CTX* LuaSsl::context() const {
  if (!shared_->context) {
    auto made = tls::Context::make(protocols);
    if (!made || !made->set_ciphers(std::string(ciphers.get()), false)) return nullptr;
    shared_->context.emplace(std::move(*made));
  }
  return shared_->context->get();
}

constexpr conf::Module kLuaSslModule = {
    .name = "lua_ssl", .directives = kDirectives, .confs = kConfs, .after_http = set_hooks};

}  // namespace mp::lua
