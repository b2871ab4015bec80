// upstream {} and what stands in it.
#include <string>

#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "upstream/cache/conf.hpp"
#include "upstream/history.hpp"
#include "upstream/methods.hpp"
#include "upstream/resolver_conf.hpp"
#include "upstream/upstream.hpp"
#include "upstream/zone.hpp"

namespace mp::upstream {
namespace {

using conf::Arg;
using conf::at_least;
using conf::between;
using conf::Block;
using conf::Context;
using conf::Directive;
using conf::exactly;
using conf::Node;
using conf::none;
using conf::Scope;

std::string quoted(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

Upstream& upstream_of(Context& ctx) {
  return *ctx.conf<UpstreamBlock>().upstream;
}

// ---- upstream {}

Status parse_upstream(Context& ctx, const Node& node) {
  auto& main = ctx.conf<UpstreamMain>();
  const std::string_view name = node.args[0].text;
  Upstream* made = nullptr;
  for (Upstream* other : main.all) {
    if (!equals_nocase(other->host, name)) continue;
    if (other->is_block) return ctx.error(node, "duplicate upstream " + quoted(name));
    if (!other->no_port) {
      return ctx.error(other->position,
                       "upstream " + quoted(name) + " may not have port " + std::to_string(other->port));
    }
    made = other;  // proxy_pass named it before
  }
  if (made == nullptr) {
    made = ctx.arena().make<Upstream>();
    made->host = name;
    main.all.push_back(made);
  }
  made->is_block = made->no_port = true;
  made->port = 0;
  made->servers.clear();
  made->position = node.end;
  made->sets = ctx.nested_sets(node, {conf::Level::upstream});
  ctx.own<UpstreamBlock>(made->sets).upstream = made;
  TRY(ctx.children(node, Scope::upstream, made->sets));
  if (made->servers.empty()) return ctx.error(node.close, "no servers are inside upstream");
  return {};
}

// ---- server

template <class T>
Status read_number(Context& ctx, const Arg& arg, std::string_view text, T least, T& out) {
  const auto value = parse_natural<T>(text);
  if (!value || *value < least) return ctx.error(arg, "invalid parameter " + quoted(arg.text));
  out = *value;
  return {};
}

Status read_route(Context& ctx, const Arg& arg, std::string_view text, ServerLine& line) {
  if (text.empty()) return ctx.error(arg, "route is empty");
  if (text.size() > kSidSize) return ctx.error(arg, "route is longer than " + std::to_string(kSidSize));
  line.route = text;
  return {};
}

Status read_parameter(Context& ctx, const Upstream& upstream, const Arg& arg, ServerLine& line,
                      bool& resolve) {
  std::string_view text = arg.text;
  int number = 0;
  if (consume(text, "weight=")) return read_number(ctx, arg, text, 1, line.weight);
  if (consume(text, "max_conns=")) {
    TRY(read_number(ctx, arg, text, 0, number));
    line.max_conns = static_cast<unsigned>(number);
    return {};
  }
  if (consume(text, "max_fails=")) {
    TRY(read_number(ctx, arg, text, 0, number));
    line.max_fails = static_cast<unsigned>(number);
    return {};
  }
  if (consume(text, "fail_timeout=")) {
    const auto seconds = parse_seconds(text);
    if (!seconds) return ctx.error(arg, "invalid parameter " + quoted(arg.text));
    line.fail_timeout = *seconds;
    return {};
  }
  if (consume(text, "route=")) return read_route(ctx, arg, text, line);
  if (consume(text, "service=")) {
    if (text.empty()) return ctx.error(arg, "service is empty");
    line.service = text;
    return {};
  }
  if (text == "backup") {
    if (upstream.server_params == ServerParam::no_backup) {
      return ctx.error(arg, "balancing method does not support parameter " + quoted(text));
    }
    line.backup = true;
    return {};
  }
  if (text == "down" || text == "drain") {
    line.state = text == "down" ? Peer::State::down : Peer::State::draining;
    return {};
  }
  if (text != "resolve") return ctx.error(arg, "invalid parameter " + quoted(text));
  resolve = true;
  return {};
}

Status check_service(Context& ctx, const Arg& arg, const net::AddressUrl& url) {
  if (url.has_port()) return ctx.error(arg, "service upstream " + quoted(arg.text) + " may not have port");
  if (!url.needs_resolving())
    return ctx.error(arg, "service upstream " + quoted(arg.text) + " requires domain name");
  return {};
}

Status parse_server(Context& ctx, const Node& node) {
  Upstream& upstream = upstream_of(ctx);
  ServerLine line;
  const Arg& name = node.args[0];
  line.name = name.text;
  bool resolve = false;
  for (const Arg& arg : node.args.subspan(1)) TRY(read_parameter(ctx, upstream, arg, line, resolve));
  if (!line.service.empty() && !resolve) {
    return ctx.error(name, "service upstream " + quoted(name.text) + " requires \"resolve\" parameter");
  }
  const auto url = net::parse_address_url(name.text, {.default_port = 80});
  if (!url) return ctx.error(name, url.error().text + " in upstream " + quoted(name.text));
  if (!line.service.empty()) TRY(check_service(ctx, name, *url));
  if (resolve && url->needs_resolving()) {
    line.host = url->host;
    line.port = url->port;
  } else {
    auto addresses = net::resolve(*url);
    if (!addresses) return ctx.error(name, addresses.error().text + " in upstream " + quoted(name.text));
    line.addresses = std::move(*addresses);
  }
  upstream.servers.push_back(std::move(line));
  return {};
}

// ---- the rest

Status parse_keepalive(Context& ctx, const Node& node) {
  Upstream& upstream = upstream_of(ctx);
  if (upstream.keepalive.is_set()) return conf::duplicate();
  const auto number = parse_natural<std::int64_t>(node.args[0].text);
  if (!number) {
    return ctx.error(node.args[0],
                     "invalid value " + quoted(node.args[0].text) + " in \"keepalive\" directive");
  }
  upstream.keepalive.set(*number);
  if (node.args.size() == 1) return {};
  if (node.args[1].text != "local")
    return ctx.error(node.args[1], "invalid parameter " + quoted(node.args[1].text));
  upstream.keepalive_local = true;
  return {};
}

template <auto Member>
Status set_here(Context& ctx, const Node& node) {
  return conf::detail::set_value(ctx, node, upstream_of(ctx).*Member);
}

Status parse_resolver_here(Context& ctx, const Node& node) {
  return parse_resolver(ctx, node, upstream_of(ctx).resolver);
}

constexpr Directive kDirectives[] = {
    {.name = "upstream",
     .where = Scope::http,
     .args = exactly(1),
     .block = Block::nested,
     .parse = parse_upstream},
    {.name = "server", .where = Scope::upstream, .args = at_least(1), .parse = parse_server},
    {.name = "zone", .where = Scope::upstream, .args = between(1, 2), .parse = parse_zone},
    {.name = "least_conn", .where = Scope::upstream, .args = none(), .parse = parse_least_conn},
    {.name = "ip_hash", .where = Scope::upstream, .args = none(), .parse = parse_ip_hash},
    {.name = "hash", .where = Scope::upstream, .args = between(1, 2), .parse = parse_hash},
    {.name = "random", .where = Scope::upstream, .args = between(0, 2), .parse = parse_random},
    {.name = "least_time", .where = Scope::upstream, .args = between(1, 2), .parse = parse_least_time},
    {.name = "sticky", .where = Scope::upstream, .args = at_least(2), .parse = parse_sticky},
    {.name = "keepalive", .where = Scope::upstream, .args = between(1, 2), .parse = parse_keepalive},
    {.name = "keepalive_time",
     .where = Scope::upstream,
     .args = exactly(1),
     .parse = set_here<&Upstream::keepalive_time>},
    {.name = "keepalive_timeout",
     .where = Scope::upstream,
     .args = exactly(1),
     .parse = set_here<&Upstream::keepalive_timeout>},
    {.name = "keepalive_requests",
     .where = Scope::upstream,
     .args = exactly(1),
     .parse = set_here<&Upstream::keepalive_requests>},
    {.name = "resolver", .where = Scope::upstream, .args = at_least(1), .parse = parse_resolver_here},
    {.name = "resolver_timeout",
     .where = Scope::upstream,
     .args = exactly(1),
     .parse = set_here<&Upstream::resolver_timeout>},
};

constexpr conf::ConfType kConfs[] = {conf::conf_type<UpstreamMain>(), conf::conf_type<UpstreamBlock>(),
                                     conf::conf_type<CacheZones>()};

Status before_http(Context& ctx) {
  define_history_variables(ctx.conf<http::CoreMain>().variables);
  return {};
}

}  // namespace

void select_method(Context& ctx, const Node& node, std::unique_ptr<Method> method, ServerParam params) {
  Upstream& upstream = upstream_of(ctx);
  if (upstream.method != nullptr) ctx.warn(node, "load balancing method redefined");
  upstream.method = std::move(method);
  upstream.server_params = params;
}

constexpr conf::Module kUpstreamModule = {
    .name = "upstream", .directives = kDirectives, .confs = kConfs, .before_http = before_http};

}  // namespace mp::upstream
