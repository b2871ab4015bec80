// The directives of the Lua module: code for the hooks, and its settings.
#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "lua/conf.hpp"
#include "lua/hooks/balancer.hpp"
#include "lua/hooks/hooks.hpp"
#include "lua/hooks/set_directive.hpp"
#include "lua/hooks/signal_conf.hpp"
#include "lua/lua.hpp"

namespace mp::lua {

namespace {

using conf::Block;
using conf::Context;
using conf::Directive;
using conf::Node;
using conf::Scope;

constexpr Scope kEverywhere = conf::kHttpServerLocationIf;
constexpr Scope kScripts = Scope::server | Scope::server_if | Scope::location | Scope::location_if;

// The code of one hook, kept in a member of a configuration type.
template <auto Member>
Status code(Context& ctx, const Node& node) {
  Chunk*& chunk = conf::detail::setting_of<Member>(ctx);
  if (chunk != nullptr) return conf::duplicate();
  auto made = make_chunk(ctx, node);
  if (!made) return fail(std::move(made.error()));
  chunk = *made;
  ctx.conf<LuaMain>().wanted = true;
  return {};
}

// init hooks fill _G itself, without a guard.
template <auto Member>
Status process_code(Context& ctx, const Node& node) {
  TRY(code<Member>(ctx, node));
  conf::detail::setting_of<Member>(ctx)->shared_globals = true;
  return {};
}

Status content_code(Context& ctx, const Node& node) {
  TRY(code<&LuaLocation::content>(ctx, node));
  ctx.conf<http::CoreBlock>().handler = lua_content;
  return {};
}

// Switching it off is told as loudly as it deserves, once the log is open.
Status code_cache(Context& ctx, const Node& node) {
  TRY(conf::set<&LuaLocation::code_cache>(ctx, node));
  if (!ctx.conf<LuaLocation>().code_cache) {
    ctx.conf<LuaMain>().uncached_places.push_back(std::string(ctx.file_name(node.position)) + ":" +
                                                  std::to_string(node.end.line));
  }
  return {};
}

Status load_resty_core(Context& ctx, const Node& node) {
  ctx.warn(
      node,
      "lua_load_resty_core is deprecated (the lua-resty-core library is required since ngx_lua v0.10.16)");
  return {};
}

constexpr Directive kDirectives[] = {
    {.name = "init_by_lua",
     .where = Scope::http,
     .args = conf::exactly(1),
     .parse = process_code<&LuaMain::init>},
    {.name = "init_by_lua_block",
     .where = Scope::http,
     .block = Block::lua,
     .parse = process_code<&LuaMain::init>},
    {.name = "init_by_lua_file",
     .where = Scope::http,
     .args = conf::exactly(1),
     .parse = process_code<&LuaMain::init>},
    {.name = "init_worker_by_lua",
     .where = Scope::http,
     .args = conf::exactly(1),
     .parse = process_code<&LuaMain::init_worker>},
    {.name = "init_worker_by_lua_block",
     .where = Scope::http,
     .block = Block::lua,
     .parse = process_code<&LuaMain::init_worker>},
    {.name = "init_worker_by_lua_file",
     .where = Scope::http,
     .args = conf::exactly(1),
     .parse = process_code<&LuaMain::init_worker>},
    {.name = "exit_worker_by_lua_block",
     .where = Scope::http,
     .block = Block::lua,
     .parse = process_code<&LuaMain::exit_worker>},
    {.name = "exit_worker_by_lua_file",
     .where = Scope::http,
     .args = conf::exactly(1),
     .parse = process_code<&LuaMain::exit_worker>},

    {.name = "server_rewrite_by_lua_block",
     .where = conf::kHttpServer,
     .block = Block::lua,
     .parse = code<&LuaServer::server_rewrite>},
    {.name = "server_rewrite_by_lua_file",
     .where = conf::kHttpServer,
     .args = conf::exactly(1),
     .parse = code<&LuaServer::server_rewrite>},
    {.name = "rewrite_by_lua",
     .where = kEverywhere,
     .args = conf::exactly(1),
     .parse = code<&LuaLocation::rewrite>},
    {.name = "rewrite_by_lua_block",
     .where = kEverywhere,
     .block = Block::lua,
     .parse = code<&LuaLocation::rewrite>},
    {.name = "rewrite_by_lua_file",
     .where = kEverywhere,
     .args = conf::exactly(1),
     .parse = code<&LuaLocation::rewrite>},
    {.name = "access_by_lua",
     .where = kEverywhere,
     .args = conf::exactly(1),
     .parse = code<&LuaLocation::access>},
    {.name = "access_by_lua_block",
     .where = kEverywhere,
     .block = Block::lua,
     .parse = code<&LuaLocation::access>},
    {.name = "access_by_lua_file",
     .where = kEverywhere,
     .args = conf::exactly(1),
     .parse = code<&LuaLocation::access>},
    {.name = "precontent_by_lua_block",
     .where = kEverywhere,
     .block = Block::lua,
     .parse = code<&LuaLocation::precontent>},
    {.name = "precontent_by_lua_file",
     .where = kEverywhere,
     .args = conf::exactly(1),
     .parse = code<&LuaLocation::precontent>},
    {.name = "content_by_lua", .where = conf::kLocationOrIf, .args = conf::exactly(1), .parse = content_code},
    {.name = "content_by_lua_block",
     .where = conf::kLocationOrIf,
     .block = Block::lua,
     .parse = content_code},
    {.name = "content_by_lua_file",
     .where = conf::kLocationOrIf,
     .args = conf::exactly(1),
     .parse = content_code},
    {.name = "header_filter_by_lua",
     .where = kEverywhere,
     .args = conf::exactly(1),
     .parse = code<&LuaLocation::header_filter>},
    {.name = "header_filter_by_lua_block",
     .where = kEverywhere,
     .block = Block::lua,
     .parse = code<&LuaLocation::header_filter>},
    {.name = "header_filter_by_lua_file",
     .where = kEverywhere,
     .args = conf::exactly(1),
     .parse = code<&LuaLocation::header_filter>},
    {.name = "body_filter_by_lua",
     .where = kEverywhere,
     .args = conf::exactly(1),
     .parse = code<&LuaLocation::body_filter>},
    {.name = "body_filter_by_lua_block",
     .where = kEverywhere,
     .block = Block::lua,
     .parse = code<&LuaLocation::body_filter>},
    {.name = "body_filter_by_lua_file",
     .where = kEverywhere,
     .args = conf::exactly(1),
     .parse = code<&LuaLocation::body_filter>},
    {.name = "log_by_lua", .where = kEverywhere, .args = conf::exactly(1), .parse = code<&LuaLocation::log>},
    {.name = "log_by_lua_block", .where = kEverywhere, .block = Block::lua, .parse = code<&LuaLocation::log>},
    {.name = "log_by_lua_file",
     .where = kEverywhere,
     .args = conf::exactly(1),
     .parse = code<&LuaLocation::log>},
    {.name = "set_by_lua", .where = kScripts, .args = conf::at_least(2), .parse = set_by_lua},
    {.name = "set_by_lua_block",
     .where = kScripts,
     .args = conf::exactly(1),
     .block = Block::lua,
     .parse = set_by_lua},
    {.name = "set_by_lua_file", .where = kScripts, .args = conf::at_least(2), .parse = set_by_lua},

    {.name = "balancer_by_lua_block",
     .where = Scope::upstream,
     .block = Block::lua,
     .parse = balancer_by_lua},
    {.name = "balancer_by_lua_file",
     .where = Scope::upstream,
     .args = conf::exactly(1),
     .parse = balancer_by_lua},
    {.name = "balancer_keepalive",
     .where = Scope::upstream,
     .args = conf::exactly(1),
     .parse = balancer_keepalive},

    {.name = "lua_package_path",
     .where = Scope::http,
     .args = conf::exactly(1),
     .parse = conf::set<&LuaMain::package_path>},
    {.name = "lua_package_cpath",
     .where = Scope::http,
     .args = conf::exactly(1),
     .parse = conf::set<&LuaMain::package_cpath>},
    {.name = "lua_malloc_trim",
     .where = Scope::http,
     .args = conf::exactly(1),
     .parse = conf::set<&LuaMain::malloc_trim>},
    {.name = "lua_thread_cache_max_entries",
     .where = Scope::http,
     .args = conf::exactly(1),
     .parse = conf::set<&LuaMain::thread_cache_max_entries>},
    // Our own: global variables that a handler assigns are its request's alone.
    {.name = "lua_isolate_globals",
     .where = Scope::http,
     .args = conf::flag(),
     .parse = conf::set<&LuaMain::isolate_globals>},
    {.name = "rewrite_by_lua_no_postpone",
     .where = Scope::http,
     .args = conf::flag(),
     .parse = conf::set<&LuaMain::rewrite_no_postpone>},
    {.name = "access_by_lua_no_postpone",
     .where = Scope::http,
     .args = conf::flag(),
     .parse = conf::set<&LuaMain::access_no_postpone>},
    {.name = "precontent_by_lua_no_postpone",
     .where = Scope::http,
     .args = conf::flag(),
     .parse = conf::set<&LuaMain::precontent_no_postpone>},
    {.name = "lua_code_cache", .where = kEverywhere, .args = conf::flag(), .parse = code_cache},
    {.name = "lua_use_default_type",
     .where = kEverywhere,
     .args = conf::flag(),
     .parse = conf::set<&LuaLocation::use_default_type>},
    {.name = "lua_need_request_body",
     .where = kEverywhere,
     .args = conf::flag(),
     .parse = conf::set<&LuaLocation::need_request_body>},
    {.name = "lua_transform_underscores_in_response_headers",
     .where = kEverywhere,
     .args = conf::flag(),
     .parse = conf::set<&LuaLocation::transform_underscores>},
    {.name = "lua_check_client_abort",
     .where = kEverywhere,
     .args = conf::flag(),
     .parse = conf::set<&LuaLocation::check_client_abort>},
    {.name = "lua_http10_buffering",
     .where = kEverywhere,
     .args = conf::flag(),
     .parse = conf::set<&LuaLocation::http10_buffering>},
    {.name = "lua_sa_restart",
     .where = Scope::http,
     .args = conf::flag(),
     .parse = conf::set<&SignalConf::restart>},

    // Accepted for configurations made for the peer; what they tune does not exist here.
    {.name = "lua_load_resty_core", .where = Scope::http, .args = conf::flag(), .parse = load_resty_core},
};

constexpr conf::ConfType kConfs[] = {conf::conf_type<LuaMain>(), conf::conf_type<LuaServer>(),
                                     conf::conf_type<LuaLocation>(), conf::conf_type<LuaUpstream>(),
                                     conf::conf_type<SignalConf>()};

// Settings of code that runs for no client are those of http {}, completed like a location's.
Status before_http(Context& ctx) {
  static const Node kNobody;
  ctx.conf<LuaMain>().detached = ctx.nested_sets(kNobody, {Level::location});
  return {};
}

}  // namespace

extern const conf::Module kLuaModule = {.name = "lua",
                                        .directives = kDirectives,
                                        .confs = kConfs,
                                        .asked_always = true,
                                        .before_http = before_http};

}  // namespace mp::lua
