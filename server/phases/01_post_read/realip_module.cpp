#include "phases/01_post_read/realip_module.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/numbers.hpp"
#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "http/forwarded.hpp"
#include "http/proxy_protocol.hpp"
#include "http/request.hpp"
#include "net/address_url.hpp"

namespace mp::phases {

using conf::Context;
using conf::Node;
using http::Request;
using http::Step;

namespace {

struct RealipHeader {
  enum class Kind : std::uint8_t { field, list, proxy_protocol } kind = Kind::field;
  std::string_view name = "X-Real-IP";
};

struct RealipConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  std::vector<net::Cidr> from;
  conf::Setting<RealipHeader> header;
  conf::Setting<bool> recursive;

  Status merge(Context&, const RealipConf& parent) {
    if (from.empty()) from = parent.from;
    header.inherit(parent.header);
    recursive.inherit(parent.recursive, false);
    return {};
  }
};

// Puts the connection's own address back when the request ends: the next one on it may come from someone
// else.
struct ChangedAddress {
  static constexpr bool kKeepOnRedirect = true;
  http::Connection* connection = nullptr;

  ~ChangedAddress() {
    if (connection == nullptr) return;
    connection->client = *connection->original_client;
    connection->original_client.reset();
  }
};

net::Cidr single(const net::Address& address) {
  return net::parse_cidr(address.text())->block;
}

Status parse_from(Context& ctx, const Node& node) {
  auto& from = ctx.conf<RealipConf>().from;
  const conf::Arg& arg = node.args[0];
  if (arg.text == "unix:") {
    from.emplace_back().family = AF_UNIX;
    return {};
  }
  if (const auto parsed = net::parse_cidr(arg.text)) {
    if (parsed->low_bits_meaningless) {
      ctx.warn(arg, "low address bits of " + std::string(arg.text) + " are meaningless");
    }
    from.push_back(parsed->block);
    return {};
  }
  const auto addresses = net::resolve_host(arg.text, 0);
  if (!addresses) {
    return ctx.error(arg, addresses.error().text + " in set_real_ip_from \"" + std::string(arg.text) + "\"");
  }
  for (const net::Address& address : *addresses) from.push_back(single(address));
  return {};
}

Status parse_header(Context& ctx, const Node& node) {
  auto& setting = ctx.conf<RealipConf>().header;
  if (setting.is_set()) return conf::duplicate();
  RealipHeader header{RealipHeader::Kind::field, node.args[0].text};
  if (header.name == "X-Forwarded-For") header.kind = RealipHeader::Kind::list;
  if (header.name == "proxy_protocol") header.kind = RealipHeader::Kind::proxy_protocol;
  setting.set(header);
  return {};
}

// What the trusted peer says; nothing when it says nothing usable or is not trusted.
std::optional<net::Address> reported_address(const Request& r, const RealipConf& c) {
  net::Address address = r.connection.client;
  const RealipHeader& header = c.header.get();
  auto result = http::Forwarded::unchanged;
  switch (header.kind) {
    case RealipHeader::Kind::list:
      result = http::follow_forwarded_fields(address, r.in, header.name, c.from, c.recursive);
      break;
    case RealipHeader::Kind::proxy_protocol: {
      const http::ProxyHeader* proxy = r.connection.proxy_protocol.get();
      if (proxy == nullptr || !proxy->has_addresses) return std::nullopt;
      result = http::follow_forwarded(address, proxy->src_address, c.from, c.recursive);
      if (result != http::Forwarded::unchanged) address.set_port(proxy->src_port);
      break;
    }
    case RealipHeader::Kind::field: {
      const http::HeaderField* field = r.in.find(header.name);
      if (field == nullptr) return std::nullopt;
      result = http::follow_forwarded(address, field->value, c.from, c.recursive);
      break;
    }
  }
  if (result == http::Forwarded::unchanged) return std::nullopt;
  return address;
}

const net::Address& peer(const Request& r) {
  const http::Connection& c = r.connection;
  return c.original_client != nullptr ? *c.original_client : c.client;
}

Status define_variables(Context& ctx) {
  static constexpr http::Variable kVariables[] = {
      {.name = "realip_remote_addr",
       .get = [](Request& r, const http::Variable&) { return http::Value::of(peer(r).text(r.arena)); }},
      {.name = "realip_remote_port",
       .get =
           [](Request& r, const http::Variable&) {
             const std::uint16_t port = peer(r).port();
             if (port == 0) return http::Value::of("");
             char text[kMaxDecimal];
             return http::Value::of(r.arena.copy({text, static_cast<std::size_t>(print(text, port) - text)}));
           }},
  };
  ctx.conf<http::CoreMain>().variables.define(kVariables);
  return {};
}

constexpr conf::Directive kDirectives[] = {
    {.name = "set_real_ip_from",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = parse_from},
    {.name = "real_ip_header",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = parse_header},
    {.name = "real_ip_recursive",
     .where = conf::kHttpServerLocation,
     .args = conf::flag(),
     .parse = conf::set<&RealipConf::recursive>},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<RealipConf>()};

}  // namespace

Step find_real_address(Request& r) {
  const auto& c = r.conf<RealipConf>();
  if (c.from.empty()) return Step::decline();
  Request& client = *r.main;
  if (client.connection.original_client != nullptr) return Step::decline();
  const auto address = reported_address(r, c);
  if (!address) return Step::decline();
  http::Connection& connection = client.connection;
  connection.original_client = std::make_unique<net::Address>(connection.client);
  connection.client = *address;
  client.ctx<ChangedAddress>().connection = &connection;
  return Step::decline();
}

const conf::Module kRealipModule = {
    .name = "http_realip", .directives = kDirectives, .confs = kConfs, .before_http = define_variables};

}  // namespace mp::phases
