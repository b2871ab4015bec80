#include "proto/h2/module.hpp"

#include <algorithm>

#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "http/ssl_conf.hpp"
#include "proto/h2/pump.hpp"

namespace mp::proto {
namespace {

using conf::Context;
using conf::exactly;
using conf::flag;
using conf::kHttpServer;
using conf::kHttpServerLocation;
using conf::Node;
using conf::Scope;
using conf::set;

constexpr std::size_t kMaxFrame = (1 << 24) - 1;

Status parse_recv_buffer_size(Context& ctx, const Node& node) {
  TRY(set<&H2Main::recv_buffer_size>(ctx, node));
  return ctx.conf<H2Main>().recv_buffer_size <= 16 ? Status(fail("value is too small")) : Status();
}

Status parse_pool_size(Context& ctx, const Node& node) {
  TRY(set<&H2Server::pool_size>(ctx, node));
  const std::size_t size = ctx.conf<H2Server>().pool_size;
  if (size < 128) return ctx.error(node.args[0], "the pool size must be no less than 128");
  if (size % 16 != 0) return ctx.error(node.args[0], "the pool size must be a multiple of 16");
  return {};
}

Status parse_preread_size(Context& ctx, const Node& node) {
  TRY(set<&H2Server::body_preread_size>(ctx, node));
  if (ctx.conf<H2Server>().body_preread_size <= kMaxH2Window) return {};
  return ctx.error(node.args[0], "the maximum body preread buffer size is " + std::to_string(kMaxH2Window));
}

Status parse_streams_index_size(Context& ctx, const Node& node) {
  TRY(set<&H2Server::streams_index_size>(ctx, node));
  const std::int64_t size = ctx.conf<H2Server>().streams_index_size;
  return size == 0 || (size & (size - 1)) != 0 ? Status(fail("must be a power of two")) : Status();
}

Status parse_chunk_size(Context& ctx, const Node& node) {
  TRY(set<&H2Location::chunk_size>(ctx, node));
  auto& size = ctx.conf<H2Location>().chunk_size;
  if (size == 0) return ctx.error(node.args[0], "the http2 chunk size cannot be zero");
  size.set(std::min<std::size_t>(size, kMaxFrame));
  return {};
}

// Settings of earlier versions: what they limited has other names now, or is gone.
Status obsolete(Context& ctx, const Node& node) {
  constexpr std::pair<std::string_view, std::string_view> kSuccessors[] = {
      {"http2_max_requests", "keepalive_requests"},
      {"http2_max_field_size", "large_client_header_buffers"},
      {"http2_max_header_size", "large_client_header_buffers"},
      {"http2_recv_timeout", "client_header_timeout"},
      {"http2_idle_timeout", "keepalive_timeout"},
  };
  std::string text = "the \"" + std::string(node.name) + "\" directive is obsolete, ";
  const auto* found = std::find_if(std::begin(kSuccessors), std::end(kSuccessors),
                                   [&](const auto& row) { return row.first == node.name; });
  text += found == std::end(kSuccessors) ? "ignored"
                                         : "use the \"" + std::string(found->second) + "\" directive instead";
  ctx.warn(node, std::move(text));
  return {};
}

constexpr conf::Directive kDirectives[] = {
    {.name = "http2", .where = kHttpServer, .args = flag(), .parse = set<&H2Server::enabled>},
    {.name = "http2_recv_buffer_size",
     .where = Scope::http,
     .args = exactly(1),
     .parse = parse_recv_buffer_size},
    {.name = "http2_pool_size", .where = kHttpServer, .args = exactly(1), .parse = parse_pool_size},
    {.name = "http2_max_concurrent_streams",
     .where = kHttpServer,
     .args = exactly(1),
     .parse = set<&H2Server::max_concurrent_streams>},
    {.name = "http2_body_preread_size",
     .where = kHttpServer,
     .args = exactly(1),
     .parse = parse_preread_size},
    {.name = "http2_streams_index_size",
     .where = kHttpServer,
     .args = exactly(1),
     .parse = parse_streams_index_size},
    {.name = "http2_chunk_size", .where = kHttpServerLocation, .args = exactly(1), .parse = parse_chunk_size},
    {.name = "http2_max_concurrent_pushes", .where = kHttpServer, .args = exactly(1), .parse = obsolete},
    {.name = "http2_max_requests", .where = kHttpServer, .args = exactly(1), .parse = obsolete},
    {.name = "http2_max_field_size", .where = kHttpServer, .args = exactly(1), .parse = obsolete},
    {.name = "http2_max_header_size", .where = kHttpServer, .args = exactly(1), .parse = obsolete},
    {.name = "http2_recv_timeout", .where = kHttpServer, .args = exactly(1), .parse = obsolete},
    {.name = "http2_idle_timeout", .where = kHttpServer, .args = exactly(1), .parse = obsolete},
    {.name = "http2_push_preload", .where = kHttpServerLocation, .args = flag(), .parse = obsolete},
    {.name = "http2_push", .where = kHttpServerLocation, .args = exactly(1), .parse = obsolete},
};

// The handshake offers what the server speaks.
Status tell_handshakes(Context& ctx) {
  for (const http::Server* server : ctx.conf<http::CoreMain>().servers) {
    auto& ssl = server->sets.get<http::SslServer>();
    if (ssl.context) ssl.offers_http2 = server->sets.get<H2Server>().enabled;
  }
  return {};
}

constexpr conf::ConfType kConfs[] = {conf::conf_type<H2Main>(), conf::conf_type<H2Server>(),
                                     conf::conf_type<H2Location>()};

}  // namespace

Status H2Server::merge(Context&, const H2Server& parent) {
  enabled.inherit(parent.enabled, false);
  pool_size.inherit(parent.pool_size, 4096);
  max_concurrent_streams.inherit(parent.max_concurrent_streams, 128);
  body_preread_size.inherit(parent.body_preread_size, 65536);
  streams_index_size.inherit(parent.streams_index_size, 32);
  return {};
}

Status H2Location::merge(Context&, const H2Location& parent) {
  chunk_size.inherit(parent.chunk_size, 8192);
  return {};
}

bool http2_enabled(const http::AddressConf& address) {
  return address.http2 || address.default_server->sets.get<H2Server>().enabled;
}

const conf::Module kH2Module = {
    .name = "http2", .directives = kDirectives, .confs = kConfs, .after_http = tell_handshakes};

}  // namespace mp::proto
