// geo: a variable whose value depends on an address, by default the client's.
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <fmt/core.h>

#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "http/forwarded.hpp"
#include "http/network_table.hpp"
#include "http/request.hpp"
#include "http/value_modules.hpp"

namespace mp::http {
namespace {

using conf::Context;
using conf::Node;

// What counts where there is no IPv4 address: a Unix socket, a variable that holds no address.
constexpr std::uint32_t kNoAddress = 0xffffffff;

// One geo block; in the configuration's arena.
struct Geo {
  const Variable* source = nullptr;  // null: the client's address
  bool ranges = false;
  bool proxy_recursive = false;
  bool cacheable = true;
  std::vector<net::Cidr> proxies;
  NetworkTable networks;
  RangeTable range_table;
  std::optional<std::string_view> fallback;  // of ranges
};

// The address that a request is judged by; unspecified when there is none.
net::Address address_of(Request& r, const Geo& geo) {
  net::Address address;
  if (geo.source == nullptr) {
    address = r.connection.client;
  } else {
    const auto parsed = net::parse_ip(r.fresh_variable(*geo.source).text);
    if (!parsed) return address;
    address = *parsed;
  }
  if (!geo.proxies.empty()) {
    (void)follow_forwarded_fields(address, r.in, "x-forwarded-for", geo.proxies, geo.proxy_recursive);
  }
  return address;
}

Value geo_value(Request& r, const Variable& v) {
  const Geo& geo = *static_cast<const Geo*>(v.data);
  net::Address address = address_of(r, geo).unmapped();
  if (!address.is_v4() && (geo.ranges || !address.is_v6())) address = net::Address::v4(kNoAddress);
  if (!geo.ranges) return Value::of(geo.networks.find(address).value_or(""));
  std::uint32_t number = 0;
  std::memcpy(&number, address.binary().data(), sizeof number);
  return Value::of(geo.range_table.find(ntohl(number)).value_or(geo.fallback.value_or("")));
}

// ---- reading a block

Result<net::Cidr> read_network(Context& ctx, const Node& row, std::string_view text) {
  auto parsed = net::parse_cidr(text);
  if (!parsed) return ctx.error(row, fmt::format("invalid network \"{}\"", text));
  if (parsed->low_bits_meaningless)
    ctx.warn(row, fmt::format("low address bits of {} are meaningless", text));
  return parsed->block;
}

void set_network(Context& ctx, const Node& row, Geo& geo, const net::Cidr& network, std::string_view value) {
  if (const auto old = geo.networks.set(network, value)) {
    ctx.warn(row, fmt::format("duplicate network \"{}\", value: \"{}\", old value: \"{}\"", row.name, value,
                              *old));
  }
}

Status read_network_row(Context& ctx, const Node& row, Geo& geo) {
  const std::string_view value = row.args[0].text;
  if (row.name == "default") {
    for (const char* all : {"0.0.0.0/0", "::/0"})
      set_network(ctx, row, geo, net::parse_cidr(all)->block, value);
    return {};
  }
  const bool removes = row.name == "delete";
  auto network = read_network(ctx, row, removes ? value : row.name);
  if (!network) return fail(network.error());
  if (!removes) {
    set_network(ctx, row, geo, *network, value);
  } else if (!geo.networks.remove(*network)) {
    ctx.warn(row, fmt::format("no network \"{}\" to delete", value));
  }
  return {};
}

std::string range_text(const RangeTable::Range& range) {
  return net::Address::v4(range.first).text() + "-" + net::Address::v4(range.last).text();
}

Status read_range_row(Context& ctx, const Node& row, Geo& geo) {
  const std::string_view value = row.args[0].text;
  if (row.name == "default") {
    if (geo.fallback) {
      ctx.warn(row, fmt::format("duplicate default geo range value: \"{}\", old value: \"{}\"", value,
                                *geo.fallback));
    }
    geo.fallback = value;
    return {};
  }
  const bool removes = row.name == "delete";
  const std::string_view text = removes ? value : row.name;
  const std::size_t dash = text.find('-');
  const auto first = net::parse_ipv4(text.substr(0, dash));
  const auto last = dash != std::string_view::npos ? net::parse_ipv4(text.substr(dash + 1)) : std::nullopt;
  if (!first || !last || *first > *last) return ctx.error(row, fmt::format("invalid range \"{}\"", text));
  if (removes) {
    if (!geo.range_table.remove(*first, *last))
      ctx.warn(row, fmt::format("no address range \"{}\" to delete", text));
    return {};
  }
  std::string overlap;
  const bool good = geo.range_table.add(*first, *last, value, [&](const RangeTable::Conflict& conflict) {
    if (conflict.duplicate) {
      ctx.warn(row, fmt::format("duplicate range \"{}\", value: \"{}\", old value: \"{}\"", text, value,
                                conflict.with.value));
    } else {
      overlap = fmt::format("range \"{}\" overlaps \"{}\"", text, range_text(conflict.with));
    }
  });
  return good ? Status() : ctx.error(row, overlap);
}

Status read_row(Context& ctx, const Node& row, Geo& geo) {
  if (row.args.empty() && row.name == "ranges") {
    if (!geo.networks.empty()) {
      return ctx.error(row, "the \"ranges\" directive must be the first directive inside \"geo\" block");
    }
    return geo.ranges = true, Status();
  }
  if (row.args.empty() && row.name == "proxy_recursive") return geo.proxy_recursive = true, Status();
  if (row.args.empty() && row.name == "volatile") return geo.cacheable = false, Status();
  if (row.args.size() != 1) return ctx.error(row, "invalid number of the geo parameters");
  if (row.name == "proxy") {
    auto network = read_network(ctx, row, row.args[0].text);
    if (!network) return fail(network.error());
    geo.proxies.push_back(*network);
    return {};
  }
  return geo.ranges ? read_range_row(ctx, row, geo) : read_network_row(ctx, row, geo);
}

Status parse_geo(Context& ctx, const Node& node) {
  Geo* geo = ctx.arena().make<Geo>();
  for (const conf::Arg& arg : node.args) {
    if (!arg.text.starts_with('$')) {
      return ctx.error(arg, fmt::format("invalid variable name \"{}\"", arg.text));
    }
  }
  auto& variables = ctx.conf<CoreMain>().variables;
  if (node.args.size() == 2) geo->source = variables.resolve(node.args[0].text.substr(1));
  auto variable = variables.add(node.args.back().text.substr(1));
  if (!variable) return ctx.error(node.args.back(), variable.error().text);
  for (const Node& row : node.children) TRY(read_row(ctx, row, *geo));
  (*variable)->get = geo_value;
  (*variable)->data = geo;
  (*variable)->cacheable = geo->cacheable;
  return {};
}

constexpr conf::Directive kDirectives[] = {
    {.name = "geo",
     .where = conf::Scope::http,
     .args = conf::between(1, 2),
     .block = conf::Block::raw,
     .parse = parse_geo},
};

}  // namespace

const conf::Module kGeoModule = {.name = "http_geo", .directives = kDirectives};

}  // namespace mp::http
