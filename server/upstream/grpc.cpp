#include "upstream/grpc.hpp"

#include <array>
#include <string>

#include "base/ascii.hpp"
#include "base/strings.hpp"
#include "conf/setters.hpp"
#include "http/request.hpp"
#include "upstream/proxy.hpp"
#include "upstream/proxy_dialect.hpp"
#include "upstream/ssl_rows.hpp"
#include "upstream/transfer.hpp"
#include "upstream/transfer_rows.hpp"
#include "upstream/upstream.hpp"

namespace mp::upstream {
namespace {

using conf::at_least;
using conf::Context;
using conf::exactly;
using conf::Node;
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

TransferConf& transfer_part(Context& ctx) {
  return ctx.conf<GrpcConf>().proxy.transfer;
}
UpstreamSsl& ssl_part(Context& ctx) {
  return ctx.conf<GrpcConf>().proxy.ssl;
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

Status parse_set_header(Context& ctx, const Node& node) {
  ctx.conf<GrpcConf>().proxy.set_headers.push(ctx.arena(), {node.args[0].text, node.args[1].text});
  return {};
}

constexpr std::array kOwnRows = {
    conf::Directive{
        .name = "grpc_pass", .where = conf::kLocationOrIf, .args = exactly(1), .parse = parse_grpc_pass},
    detail::row<"grpc", "_set_header">(exactly(2), parse_set_header),
    detail::row<"grpc", "_pass_header">(exactly(1), detail::pass_header<transfer_part>),
    detail::row<"grpc", "_hide_header">(exactly(1), detail::hide_header<transfer_part>),
    detail::row<"grpc", "_ignore_headers">(at_least(1), detail::ignore_headers<transfer_part>),
    detail::setting<"grpc", "_intercept_errors", transfer_part, &TransferConf::intercept_errors>(),
    detail::setting<"grpc", "_socket_rcvbuf", transfer_part, &TransferConf::socket_rcvbuf>(),
    detail::setting<"grpc", "_socket_sndbuf", transfer_part, &TransferConf::socket_sndbuf>(),
};
constexpr auto kDirectives =
    join_rows(kOwnRows, kConnectionRows<"grpc", transfer_part>, kSslRows<"grpc", ssl_part>);

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
