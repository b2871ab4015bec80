// proxy_pass: where a location's requests go, and the handler that takes them there.
#include <string>

#include "base/ascii.hpp"
#include "base/numbers.hpp"
#include "upstream/proxy.hpp"
#include "upstream/proxy_dialect.hpp"
#include "upstream/transfer.hpp"
#include "upstream/upstream.hpp"

namespace mp::upstream {
namespace {

using http::Step;

constexpr std::string_view kHttp = "http://";
constexpr std::string_view kHttps = "https://";
constexpr std::uint16_t kHttpPort = 80;
constexpr std::uint16_t kHttpsPort = 443;

// "http://" or "https://" at the front of a URL.
std::string_view scheme_of(std::string_view text) {
  if (starts_with_nocase(text, kHttps)) return text.substr(0, kHttps.size());
  return starts_with_nocase(text, kHttp) ? text.substr(0, kHttp.size()) : std::string_view();
}

std::string quoted(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

// The URL of a proxy_pass with variables, as this request sees it.
bool evaluate(http::Request& r, const ProxyTarget& target, ProxyUrl& parts, Destination& destination) {
  const std::string_view text = target.url->evaluate(r);
  auto parsed = parse_proxy_url(r.arena, text);
  if (!parsed) {
    const std::string_view scheme = scheme_of(text);
    if (scheme.empty() || scheme.size() == text.size()) {
      log::error(r.logger, "invalid URL prefix in \"{}\"", text);
    } else {
      log::error(r.logger, "{} in upstream \"{}\"", parsed.error().text, text.substr(scheme.size()));
    }
    return false;
  }
  parts = parsed->parts;
  if (parts.uri.starts_with('?')) parts.uri = r.arena.concat("/", parts.uri);
  const net::AddressUrl& url = parsed->url;
  destination.host = url.host;
  destination.port = url.port;
  destination.no_port = !url.has_port();
  destination.address = url.address;
  if (parsed->tls) destination.ssl = &r.conf<ProxyConf>().ssl;
  return true;
}

}  // namespace

Result<ParsedProxyUrl> parse_proxy_url(Arena& arena, std::string_view text) {
  const std::string_view scheme = scheme_of(text);
  if (scheme.empty()) return fail("invalid URL prefix");
  const bool tls = scheme.size() == kHttps.size();
  const std::uint16_t usual_port = tls ? kHttpsPort : kHttpPort;
  auto url =
      net::parse_address_url(text.substr(scheme.size()), {.default_port = usual_port, .uri_part = true});
  if (!url) return fail(url.error());
  ParsedProxyUrl out{{.scheme = scheme, .uri = url->uri}, *url, tls};
  if (url->address.is_unix()) {
    out.parts.host_header = "localhost";
  } else if (!url->has_port() || url->port == usual_port) {
    out.parts.host_header = url->host;
    out.parts.port = tls ? "443" : "80";
  } else {
    out.parts.host_header = arena.concat(url->host, ":", url->port_text);
    out.parts.port = url->port_text;
  }
  return out;
}

Status parse_proxy_pass(conf::Context& ctx, const conf::Node& node) {
  auto& conf = ctx.conf<ProxyConf>();
  if (conf.target.is_set()) return conf::duplicate();
  auto& core = ctx.conf<http::CoreBlock>();
  core.handler = serve_proxy;
  const http::Location* location = core.location;
  const bool block = core.is_block || location == nullptr;
  if (!block && location->name.ends_with('/')) const_cast<http::Location*>(location)->auto_redirect = true;

  const std::string_view text = node.args[0].text;
  if (http::has_variables(text)) {
    auto url = http::Template::compile(ctx, text);
    if (!url) return ctx.error(node.args[0], url.error().text);
    conf.target.url = std::move(*url);
    return {};
  }
  auto parsed = parse_proxy_url(ctx.arena(), text);
  if (!parsed) {
    const std::string_view scheme = scheme_of(text);
    return ctx.error(node.args[0], !scheme.empty() ? parsed.error().text + " in upstream " +
                                                         quoted(text.substr(scheme.size()))
                                                   : parsed.error().text);
  }
  auto upstream = ctx.conf<UpstreamMain>().find_or_add(ctx, node, parsed->url);
  if (!upstream) return fail(upstream.error());
  conf.target.upstream = *upstream;
  conf.target.text = text;
  conf.target.parts = parsed->parts;
  conf.target.tls = parsed->tls;
  const bool no_prefix =
      block || location->kind == http::Location::Kind::named || location->kind == http::Location::Kind::regex;
  if (!no_prefix) {
    conf.target.location = location->name;
  } else if (!parsed->parts.uri.empty()) {
    return ctx.error(node,
                     "\"proxy_pass\" cannot have URI part in location given by regular expression, or inside "
                     "named location, or inside \"if\" statement, or inside \"limit_except\" block");
  }
  return {};
}

Step serve_proxy(http::Request& r) {
  const auto& conf = r.conf<ProxyConf>();
  r.drop_ctx<ProxyContext>();
  auto& context = r.ctx<ProxyContext>();
  Destination destination;
  destination.upstream = conf.target.upstream;
  if (conf.target.url) {
    if (!evaluate(r, conf.target, context.url, destination)) return Step::finish(500);
  } else {
    context.url = conf.target.parts;
    if (conf.target.tls) destination.ssl = &conf.ssl;
  }
  destination.ssl_name = context.url.host_header;
  if (conf.http_version == ProxyConf::HttpVersion::http2) destination.ssl_alpn = kAlpnHttp2;
  ProxyDialect dialect(r, conf, context);
  Transfer transfer(r, conf.transfer, dialect, destination, &conf);
  return transfer.run();
}

// ---- variables

namespace {

using http::Request;
using http::Value;
using http::Variable;

template <std::string_view ProxyUrl::* Member>
Value url_part(Request& r, const Variable&) {
  const ProxyContext* context = r.find_ctx<ProxyContext>();
  return context != nullptr ? Value::volatile_(context->url.*Member) : Value::none();
}

Value body_length(Request& r, const Variable&) {
  const ProxyContext* context = r.find_ctx<ProxyContext>();
  if (context == nullptr || context->body_length < 0) return Value::none();
  char text[kMaxDecimal];
  return Value::volatile_(
      r.arena.copy({text, static_cast<std::size_t>(print(text, context->body_length) - text)}));
}

Value chunked(Request& r, const Variable&) {
  const ProxyContext* context = r.find_ctx<ProxyContext>();
  return context != nullptr && context->chunked ? Value::volatile_("chunked") : Value::none();
}

// What the client sent in X-Forwarded-For, and the client behind it.
Value add_forwarded_for(Request& r, const Variable&) {
  const std::string_view client = r.connection.client.text(r.arena);
  const std::string_view before = r.in.joined(http::HeaderId::x_forwarded_for, ", ");
  return Value::of(before.empty() ? client : r.arena.concat(before, ", ", client));
}

constexpr Variable kVariables[] = {
    {.name = "proxy_host", .get = url_part<&ProxyUrl::host_header>, .changeable = true, .cacheable = false},
    {.name = "proxy_port", .get = url_part<&ProxyUrl::port>, .changeable = true, .cacheable = false},
    {.name = "proxy_add_x_forwarded_for", .get = add_forwarded_for},
    {.name = "proxy_internal_body_length", .get = body_length, .cacheable = false},
    {.name = "proxy_internal_chunked", .get = chunked, .cacheable = false},
};

}  // namespace

void define_proxy_variables(http::VariableTable& table) {
  table.define(kVariables);
}

}  // namespace mp::upstream
