// tunnel_pass: CONNECT requests get a connection to the server they name, or to another one.
#include <array>

#include "conf/setters.hpp"
#include "http/connect_conf.hpp"
#include "http/core_conf.hpp"
#include "upstream/cgi.hpp"
#include "upstream/cgi_modules.hpp"
#include "upstream/transfer_rows.hpp"

namespace mp::upstream {
namespace {

using conf::Context;
using conf::Node;
using http::Request;
using http::Step;

struct TunnelConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  TransferConf transfer;
  CgiTarget target;

  Status merge(Context& ctx, const TunnelConf& parent) {
    TRY(transfer.merge(ctx, parent.transfer, "tunnel", {}, "proxy_temp"));
    const auto& core = ctx.conf<http::CoreBlock>();
    if (core.is_block && !target.is_set()) target = parent.target;
    return {};
  }
};

// Nothing is said to the server, and nothing expected from it: a connection is the answer.
class TunnelDialect final : public Dialect {
 public:
  std::string_view write_request(Request&, bool) override { return ""; }
  bool may_stream(const Request&) const override { return false; }
  bool sends_body() const override { return false; }
  std::string_view scheme() const override { return "tunnel://"; }
  std::string_view uri() const override { return {}; }
  void restart() override {}
  bool answers_itself() const override { return true; }
  Head read_head(Request& r, std::string_view, Reply& reply, std::size_t& consumed) override {
    consumed = 0;
    reply.status = 200;
    reply.status_line = "200 OK";
    reply.upgrade = true;
    r.keepalive = false;
    r.out.chunk_allowed = false;
    return Head::complete;
  }
  Body decode(Request&, Reply&, char*, std::size_t, std::size_t& payload) override {
    payload = 0;
    return Body::done;
  }
  bool keepalive() const override { return false; }
};

Step serve_tunnel(Request& r) {
  if (r.method != http::Method::connect) return Step::finish(405);
  const auto& conf = r.conf<TunnelConf>();
  Destination destination;
  if (!find_cgi_server(r, conf.target, destination)) return Step::finish(500);
  TunnelDialect dialect;
  Transfer transfer(r, conf.transfer, dialect, destination, &conf);
  return transfer.run();
}

Status parse_tunnel_pass(Context& ctx, const Node& node) {
  const std::string_view address = node.args.empty() ? "$host:$request_port" : node.args[0].text;
  ctx.conf<http::ConnectConf>().allowed = true;
  return parse_cgi_pass(ctx, node, address, serve_tunnel, ctx.conf<TunnelConf>().target);
}

Status parse_next_upstream(Context& ctx, const Node& node) {
  static constexpr conf::Named<std::uint32_t> kNames[] = {
      {"error", kFailedError}, {"timeout", kFailedTimeout}, {"off", kNextOff}};
  return parse_bits(ctx, node, ctx.conf<TunnelConf>().transfer.next_upstream, kNames);
}

template <auto Member>
constexpr auto transfer = set_transfer<&TunnelConf::transfer, Member>;

template <auto Member>
constexpr conf::Directive setting(std::string_view name) {
  return {
      .name = name, .where = conf::kHttpServerLocation, .args = conf::exactly(1), .parse = transfer<Member>};
}

constexpr std::array kDirectives = {
    conf::Directive{.name = "tunnel_pass",
                    .where = conf::Scope::server | conf::Scope::location | conf::Scope::location_if,
                    .args = conf::between(0, 1),
                    .parse = parse_tunnel_pass},
    conf::Directive{.name = "tunnel_bind",
                    .where = conf::kHttpServerLocation,
                    .args = conf::between(1, 2),
                    .parse = detail::bind<&TunnelConf::transfer>},
    conf::Directive{.name = "tunnel_next_upstream",
                    .where = conf::kHttpServerLocation,
                    .args = conf::at_least(1),
                    .parse = parse_next_upstream},
    setting<&TransferConf::socket_keepalive>("tunnel_socket_keepalive"),
    setting<&TransferConf::socket_rcvbuf>("tunnel_socket_rcvbuf"),
    setting<&TransferConf::socket_sndbuf>("tunnel_socket_sndbuf"),
    setting<&TransferConf::connect_timeout>("tunnel_connect_timeout"),
    setting<&TransferConf::send_timeout>("tunnel_send_timeout"),
    setting<&TransferConf::send_lowat>("tunnel_send_lowat"),
    setting<&TransferConf::buffer_size>("tunnel_buffer_size"),
    setting<&TransferConf::read_timeout>("tunnel_read_timeout"),
    setting<&TransferConf::next_upstream_tries>("tunnel_next_upstream_tries"),
    setting<&TransferConf::next_upstream_timeout>("tunnel_next_upstream_timeout"),
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<TunnelConf>(), conf::conf_type<http::ConnectConf>()};

}  // namespace

const conf::Module kTunnelModule = {.name = "http_tunnel", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::upstream
