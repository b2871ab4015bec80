#include "upstream/grpc.hpp"

#include <string>

#include "base/ascii.hpp"
#include "base/strings.hpp"
#include "conf/setters.hpp"
#include "http/request.hpp"
#include "upstream/proxy.hpp"
#include "upstream/proxy_dialect.hpp"
#include "upstream/transfer.hpp"
#include "upstream/upstream.hpp"

namespace mp::upstream {
namespace {

using conf::at_least;
using conf::between;
using conf::Context;
using conf::Directive;
using conf::exactly;
using conf::flag;
using conf::kHttpServerLocation;
using conf::Node;
using conf::Scope;
using http::Step;

constexpr std::string_view kPlain = "grpc://";
constexpr std::string_view kSecure = "grpcs://";

constexpr std::string_view kHidden[] = {"Date",
                                        "Server",
                                        "X-Accel-Expires",
                                        "X-Accel-Redirect",
                                        "X-Accel-Limit-Rate",
                                        "X-Accel-Buffering",
                                        "X-Accel-Charset"};

constexpr std::pair<std::string_view, std::string_view> kHeaders[] = {
    {"Host", ""},
    {"Connection", ""},
    {"Proxy-Connection", ""},
    {"Content-Length", "$proxy_internal_body_length"},
    {"Transfer-Encoding", "$proxy_internal_chunked"},
    {"TE", "$grpc_internal_trailers"},
    {"Keep-Alive", ""},
    {"Expect", ""},
    {"Upgrade", ""},
};

constexpr ProxyFlavour kGrpc = {"grpc", kHidden, kHeaders, "proxy_temp"};

// The settings of a proxy, of which some are what gRPC needs and no directive changes.
struct GrpcConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  ProxyConf proxy;

  Status merge(Context& ctx, const GrpcConf& parent) {
    proxy.http_version.set(ProxyConf::HttpVersion::http2);
    proxy.transfer.buffering.set(false);
    proxy.transfer.request_buffering.set(false);
    proxy.transfer.pass_trailers.set(true);
    proxy.redirect_set = proxy.redirect_off = true;
    // Only one buffer is used; the others are there for the rules of a proxy.
    proxy.transfer.buffer_size.inherit(parent.proxy.transfer.buffer_size, 4096);
    proxy.transfer.buffers.set({8, proxy.transfer.buffer_size});
    return proxy.merge_as(ctx, parent.proxy, kGrpc);
  }
};

// ---- where to

struct GrpcUrl {
  bool secure = false;
  std::string_view scheme;
  std::string_view rest;
};

GrpcUrl split_url(std::string_view text) {
  for (const std::string_view scheme : {kPlain, kSecure}) {
    if (!starts_with_nocase(text, scheme)) continue;
    return {scheme.size() == kSecure.size(), text.substr(0, scheme.size()), text.substr(scheme.size())};
  }
  return {false, kPlain, text};
}

ProxyUrl parts_of(const GrpcUrl& split, const net::AddressUrl& url, Arena& arena) {
  ProxyUrl parts{.scheme = split.scheme};
  if (url.address.is_unix()) {
    parts.host_header = "localhost";
  } else {
    parts.host_header = url.has_port() ? arena.concat(url.host, ":", url.port_text) : url.host;
    parts.port = url.port_text;
  }
  return parts;
}

Step serve_grpc(http::Request& r) {
  const ProxyConf& conf = r.conf<GrpcConf>().proxy;
  r.drop_ctx<ProxyContext>();
  auto& context = r.ctx<ProxyContext>();
  Destination destination;
  destination.upstream = conf.target.upstream;
  bool secure = conf.target.tls;
  if (conf.target.url) {
    const GrpcUrl split = split_url(conf.target.url->evaluate(r));
    const auto url = net::parse_address_url(split.rest, {});
    if (!url) {
      log::error(r.logger, "{} in upstream \"{}\"", url.error().text, split.rest);
      return Step::finish(500);
    }
    secure = split.secure;
    context.url = parts_of(split, *url, r.arena);
    destination.host = url->host;
    destination.port = url->port;
    destination.no_port = !url->has_port();
    destination.address = url->address;
  } else {
    context.url = conf.target.parts;
  }
  if (secure) destination.ssl = &conf.ssl;
  destination.ssl_name = context.url.host_header;
  destination.ssl_alpn = kAlpnHttp2;
  ProxyDialect dialect(r, conf, context);
  Transfer transfer(r, conf.transfer, dialect, destination, &conf);
  return transfer.run();
}

// ---- directives

template <auto Member>
Status transfer(Context& ctx, const Node& node) {
  return conf::detail::set_value(ctx, node, ctx.conf<GrpcConf>().proxy.transfer.*Member);
}
template <auto Member>
Status ssl(Context& ctx, const Node& node) {
  return conf::detail::set_value(ctx, node, ctx.conf<GrpcConf>().proxy.ssl.*Member);
}

Status parse_grpc_pass(Context& ctx, const Node& node) {
  ProxyTarget& target = ctx.conf<GrpcConf>().proxy.target;
  if (target.is_set()) return conf::duplicate();
  auto& core = ctx.conf<http::CoreBlock>();
  core.handler = serve_grpc;
  const http::Location* location = core.location;
  if (!core.is_block && location != nullptr && location->name.ends_with('/')) {
    const_cast<http::Location*>(location)->auto_redirect = true;
  }
  const std::string_view text = node.args[0].text;
  if (http::has_variables(text)) {
    auto url = http::Template::compile(ctx, text);
    if (!url) return ctx.error(node.args[0], url.error().text);
    target.url = std::move(*url);
    return {};
  }
  const GrpcUrl split = split_url(text);
  const auto url = net::parse_address_url(split.rest, {});
  if (!url) {
    return ctx.error(node.args[0], url.error().text + " in upstream \"" + std::string(split.rest) + "\"");
  }
  auto upstream = ctx.conf<UpstreamMain>().find_or_add(ctx, node, *url);
  if (!upstream) return fail(upstream.error());
  target.upstream = *upstream;
  target.text = text;
  target.parts = parts_of(split, *url, ctx.arena());
  target.tls = split.secure;
  return {};
}

Status parse_grpc_bind(Context& ctx, const Node& node) {
  return parse_bind(ctx, node, ctx.conf<GrpcConf>().proxy.transfer.bind);
}
Status parse_next_upstream(Context& ctx, const Node& node) {
  return parse_bits(ctx, node, ctx.conf<GrpcConf>().proxy.transfer.next_upstream, kNextUpstreamNames);
}
Status parse_ignore_headers(Context& ctx, const Node& node) {
  return parse_bits(ctx, node, ctx.conf<GrpcConf>().proxy.transfer.ignore_headers, kIgnoreHeaderNames);
}
Status parse_pass_header(Context& ctx, const Node& node) {
  TransferConf& conf = ctx.conf<GrpcConf>().proxy.transfer;
  conf.pass_header_set = true;
  conf.pass_header_list.push(ctx.arena(), node.args[0].text);
  return {};
}
Status parse_hide_header(Context& ctx, const Node& node) {
  TransferConf& conf = ctx.conf<GrpcConf>().proxy.transfer;
  conf.hide_header_set = true;
  conf.hide_header_list.push(ctx.arena(), node.args[0].text);
  return {};
}
Status parse_set_header(Context& ctx, const Node& node) {
  ctx.conf<GrpcConf>().proxy.set_headers.push(ctx.arena(), {node.args[0].text, node.args[1].text});
  return {};
}
Status parse_protocols(Context& ctx, const Node& node) {
  return parse_ssl_protocols(ctx, node, ctx.conf<GrpcConf>().proxy.ssl.protocols);
}

constexpr Directive kDirectives[] = {
    {.name = "grpc_pass", .where = conf::kLocationOrIf, .args = exactly(1), .parse = parse_grpc_pass},
    {.name = "grpc_bind", .where = kHttpServerLocation, .args = between(1, 2), .parse = parse_grpc_bind},
    {.name = "grpc_next_upstream",
     .where = kHttpServerLocation,
     .args = at_least(1),
     .parse = parse_next_upstream},
    {.name = "grpc_set_header", .where = kHttpServerLocation, .args = exactly(2), .parse = parse_set_header},
    {.name = "grpc_pass_header",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = parse_pass_header},
    {.name = "grpc_hide_header",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = parse_hide_header},
    {.name = "grpc_ignore_headers",
     .where = kHttpServerLocation,
     .args = at_least(1),
     .parse = parse_ignore_headers},
    {.name = "grpc_ssl_protocols",
     .where = kHttpServerLocation,
     .args = at_least(1),
     .parse = parse_protocols},
    {.name = "grpc_connect_timeout",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = transfer<&TransferConf::connect_timeout>},
    {.name = "grpc_send_timeout",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = transfer<&TransferConf::send_timeout>},
    {.name = "grpc_read_timeout",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = transfer<&TransferConf::read_timeout>},
    {.name = "grpc_buffer_size",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = transfer<&TransferConf::buffer_size>},
    {.name = "grpc_intercept_errors",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = transfer<&TransferConf::intercept_errors>},
    {.name = "grpc_socket_keepalive",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = transfer<&TransferConf::socket_keepalive>},
    {.name = "grpc_socket_rcvbuf",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = transfer<&TransferConf::socket_rcvbuf>},
    {.name = "grpc_socket_sndbuf",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = transfer<&TransferConf::socket_sndbuf>},
    {.name = "grpc_next_upstream_tries",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = transfer<&TransferConf::next_upstream_tries>},
    {.name = "grpc_next_upstream_timeout",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = transfer<&TransferConf::next_upstream_timeout>},
    {.name = "grpc_ssl_session_reuse",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = ssl<&UpstreamSsl::session_reuse>},
    {.name = "grpc_ssl_ciphers",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = ssl<&UpstreamSsl::ciphers>},
    {.name = "grpc_ssl_name",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = ssl<&UpstreamSsl::name>},
    {.name = "grpc_ssl_server_name",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = ssl<&UpstreamSsl::server_name>},
    {.name = "grpc_ssl_verify",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = ssl<&UpstreamSsl::verify>},
    {.name = "grpc_ssl_verify_depth",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = ssl<&UpstreamSsl::verify_depth>},
    {.name = "grpc_ssl_trusted_certificate",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = ssl<&UpstreamSsl::trusted_certificate>},
    {.name = "grpc_ssl_crl",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = ssl<&UpstreamSsl::crl>},
    {.name = "grpc_ssl_certificate",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = ssl<&UpstreamSsl::certificate>},
    {.name = "grpc_ssl_certificate_key",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = ssl<&UpstreamSsl::key>},
    {.name = "grpc_ssl_certificate_cache",
     .where = kHttpServerLocation,
     .args = between(1, 3),
     .parse = ssl<&UpstreamSsl::certificate_cache>},
    {.name = "grpc_ssl_password_file",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = ssl<&UpstreamSsl::passwords>},
    {.name = "grpc_ssl_conf_command",
     .where = kHttpServerLocation,
     .args = exactly(2),
     .parse = ssl<&UpstreamSsl::conf_commands>},
};

constexpr conf::ConfType kConfs[] = {conf::conf_type<GrpcConf>()};

// A client that understands trailers says so, and so does this server in its place.
http::Value internal_trailers(http::Request& r, const http::Variable&) {
  for (const http::HeaderField& field : r.in) {
    if (field.id == http::HeaderId::te && list_contains(field.value, "trailers"))
      return http::Value::of("trailers");
  }
  return http::Value::none();
}

constexpr http::Variable kVariables[] = {{.name = "grpc_internal_trailers", .get = internal_trailers}};

Status before_http(Context& ctx) {
  ctx.conf<http::CoreMain>().variables.define(kVariables);
  return {};
}

}  // namespace

const conf::Module kGrpcModule = {
    .name = "grpc", .directives = kDirectives, .confs = kConfs, .before_http = before_http};

}  // namespace mp::upstream
