#include "http/listen.hpp"

#include <cstring>

#include <unistd.h>

#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "conf/configuration.hpp"
#include "conf/process_conf.hpp"
#include "http/core_blocks.hpp"
#include "http/core_conf.hpp"
#include "http/server_select.hpp"
#include "net/address_url.hpp"

namespace mp::http {

using conf::Context;
using conf::Node;

namespace {

struct ListenOptions {
  net::ListenSpec spec;
  bool tls = false;
  bool http2 = false;
  bool proxy_protocol = false;
  bool default_server = false;
  bool changes_socket = false;  // an option that may be given once for a socket
};

bool parse_so_keepalive(std::string_view value, net::ListenSpec& spec) {
  using Keepalive = net::ListenSpec::Keepalive;
  if (value == "on" || value == "off") {
    spec.so_keepalive = value == "on" ? Keepalive::on : Keepalive::off;
    return true;
  }
  int* fields[] = {&spec.keepidle, &spec.keepintvl, &spec.keepcnt};
  std::size_t i = 0;
  for (std::string_view piece : split(value, ':')) {
    if (i >= std::size(fields)) return false;
    if (!piece.empty()) {
      const auto number = i == 2 ? parse_natural<int>(piece) : std::nullopt;
      const auto seconds = i < 2 ? parse_seconds(piece) : std::nullopt;
      if (!number && !seconds) return false;
      *fields[i] = number ? *number : static_cast<int>(*seconds);
    }
    ++i;
  }
  spec.so_keepalive = Keepalive::on;
  return spec.keepidle || spec.keepintvl || spec.keepcnt;
}

// One option behind the address. False when it is unknown; `bad` is set when its value is.
bool apply_option(std::string_view option, ListenOptions& o, bool& bad) {
  std::string_view value = option;
  auto number = [&](int& out) {
    const auto n = parse_natural<int>(value);
    if (n) out = *n;
    bad = !n;
    return true;
  };
  auto size = [&](int& out) {
    const auto n = parse_size(value);
    if (n) out = static_cast<int>(*n);
    bad = !n;
    return true;
  };
  if (option == "default_server" || option == "default") return o.default_server = true;
  if (option == "ssl") return o.tls = true;
  if (option == "http2") return o.http2 = true;
  if (option == "proxy_protocol") return o.proxy_protocol = true;
  o.changes_socket = true;
  if (option == "bind" || option == "reuseport" || option == "multipath") {
    o.spec.multipath |= option == "multipath";
    o.spec.reuseport |= option == "reuseport";
    return true;
  }
  if (option == "deferred") return o.spec.deferred = true;
  if (consume(value, "backlog=")) {
    number(o.spec.backlog);
    bad |= o.spec.backlog == 0;
    return true;
  }
  if (consume(value, "fastopen=")) return number(o.spec.fastopen);
  if (consume(value, "rcvbuf=")) return size(o.spec.rcvbuf);
  if (consume(value, "sndbuf=")) return size(o.spec.sndbuf);
  if (consume(value, "ipv6only=")) {
    bad = value != "on" && value != "off";
    o.spec.ipv6only = value == "on";
    return value.starts_with('o');
  }
  if (consume(value, "so_keepalive=")) {
    bad = !parse_so_keepalive(value, o.spec);
    return true;
  }
  return consume(value, "accept_filter=");
}

AddressConf& address_of(Context& ctx, const net::Address& address) {
  auto& main = ctx.conf<CoreMain>();
  if (main.addresses == nullptr) main.addresses = std::make_shared<ListenAddresses>();
  const std::string text = address.text_with_port();
  for (auto& known : main.addresses->all) {
    if (known->text == text) return *known;
  }
  auto& process = ctx.configuration().root().get<conf::ProcessWide>();
  net::ListenSpec spec;
  std::memcpy(&spec.address, address.raw(), address.size());
  spec.length = address.size();
  spec.text = text;
  process.listeners.push_back(spec);
  auto fresh = std::make_unique<AddressConf>();
  fresh->spec = process.listeners.size() - 1;
  fresh->address = address;
  fresh->text = text;
  main.addresses->all.push_back(std::move(fresh));
  return *main.addresses->all.back();
}

Status add_server(Context& ctx, const Node& node, const net::Address& address, const ListenOptions& o,
                  Server& server) {
  AddressConf& conf = address_of(ctx, address);
  for (const Server* other : conf.servers) {
    if (other == &server) return ctx.error(node, "a duplicate listen " + conf.text);
  }
  auto& process = ctx.configuration().root().get<conf::ProcessWide>();
  if (o.changes_socket) {
    net::ListenSpec& spec = process.listeners[conf.spec];
    if (conf.options_given) return ctx.error(node, "duplicate listen options for " + conf.text);
    conf.options_given = true;
    net::ListenSpec changed = o.spec;
    changed.address = spec.address;
    changed.length = spec.length;
    changed.text = spec.text;
    spec = changed;
  }
  if (o.default_server) {
    if (conf.default_given) return ctx.error(node, "a duplicate default server for " + conf.text);
    conf.default_given = true;
    conf.default_server = &server;
  }
  if (conf.default_server == nullptr) conf.default_server = &server;
  conf.tls |= o.tls;
  conf.http2 |= o.http2;
  conf.proxy_protocol |= o.proxy_protocol;
  conf.servers.push_back(&server);
  return {};
}

// One asterisk at most, that at an end beside a dot; no two dots in a row.
bool good_name(std::string_view name) {
  if (name.find("..") != std::string_view::npos) return false;
  const std::size_t star = name.find('*');
  if (star == std::string_view::npos) return true;
  if (name.find('*', star + 1) != std::string_view::npos) return false;
  return name.starts_with('.') || name.starts_with("*.") || name.ends_with(".*");
}

// The directive of the server that has this very text as an argument.
const Node& directive_with(std::string_view text, const Node& server) {
  for (const Node& node : server.children) {
    for (const conf::Arg& arg : node.args) {
      if (arg.text.data() == text.data()) return node;
    }
  }
  return server;
}

// The block of the server, as a place to show but not to name.
Node shown(const Server& server) {
  Node node = *server.sets[Level::server]->node;
  node.end = {};
  return node;
}

Status add_regex(Context& ctx, AddressConf& address, const ServerName& name, Server& server, bool& captures) {
  auto regex = HttpRegex::compile(ctx, name.text.substr(1), name.caseless);
  if (!regex) {
    return ctx.error(directive_with(name.text, *server.sets[Level::server]->node), regex.error().text);
  }
  captures |= regex->captures() > 0;
  address.names.add_regex(std::move(*regex), &server);
  return {};
}

// A server that is alone on its address is chosen whatever the name, but for captures: its names are not
// looked at closely. Without a name it has the empty one.
Status add_names(Context& ctx, AddressConf& address, Server& server) {
  static const std::vector<ServerName> unnamed(1);
  const auto& core = server.sets.get<CoreServer>();
  bool closely = address.servers.size() > 1;
  for (const ServerName& name : core.names) {
    if (name.regex) TRY(add_regex(ctx, address, name, server, closely));
  }
  const bool nameless = closely && core.names.empty();
  for (const ServerName& name : nameless ? unnamed : core.names) {
    if (name.regex) continue;
    if (closely && !good_name(name.text)) {
      return ctx.error(shown(server), "invalid server name or wildcard \"" + std::string(name.text) +
                                          "\" on " + address.text);
    }
    if (!address.names.add(name.text, &server) && closely) {
      ctx.warn(shown(server),
               "conflicting server name \"" + std::string(name.text) + "\" on " + address.text + ", ignored");
    }
  }
  return {};
}

}  // namespace

Status parse_listen(Context& ctx, const Node& node) {
  auto& core = ctx.conf<CoreServer>();
  core.listens = true;
  const auto url = net::parse_address_url(node.args[0].text, {.default_port = 80, .listen = true});
  if (!url) {
    return ctx.error(node.args[0], url.error().text + " in \"" + std::string(node.args[0].text) +
                                       "\" of the \"listen\" directive");
  }
  ListenOptions options;
  for (const conf::Arg& arg : node.args.subspan(1)) {
    bool bad = false;
    if (arg.text == "http2") {
      ctx.warn(node, "the \"listen ... http2\" directive is deprecated, use the \"http2\" directive instead");
    }
    if (!apply_option(arg.text, options, bad)) {
      return ctx.error(arg, "invalid parameter \"" + std::string(arg.text) + "\"");
    }
    if (bad) {
      std::string_view value = arg.text;
      if (consume(value, "so_keepalive=")) {
        return ctx.error(arg, "invalid so_keepalive value: \"" + std::string(value) + "\"");
      }
      if (consume(value, "ipv6only=")) {
        return ctx.error(arg, "invalid ipv6only flags \"" + std::string(value) + "\"");
      }
      const std::string_view name = arg.text.substr(0, arg.text.find('='));
      return ctx.error(arg, "invalid " + std::string(name) + " \"" + std::string(arg.text) + "\"");
    }
  }
  auto addresses = net::resolve(*url);
  if (!addresses) {
    return ctx.error(node.args[0], addresses.error().text + " in \"" + std::string(node.args[0].text) +
                                       "\" of the \"listen\" directive");
  }
  const std::uint16_t last = url->last_port != 0 ? url->last_port : url->port;
  for (net::Address address : *addresses) {
    for (std::uint32_t port = url->port; port <= last; ++port) {
      if (!address.is_unix()) address.set_port(static_cast<std::uint16_t>(port));
      TRY(add_server(ctx, node, address, options, *core.server));
    }
  }
  return {};
}

Status listen_by_default(Context& ctx, Server& server) {
  const net::Address any = net::Address::v4(0, getuid() == 0 ? 80 : 8000);
  return add_server(ctx, *server.sets[Level::server]->node, any, {}, server);
}

Status parse_server_name(Context& ctx, const Node& node) {
  auto& core = ctx.conf<CoreServer>();
  for (const conf::Arg& arg : node.args) {
    std::string_view text = arg.text;
    const bool regex = text.starts_with('~');
    if (text == "." || (text.starts_with('*') && (text.size() < 3 || text[1] != '.'))) {
      return ctx.error(arg, "server name \"" + std::string(text) + "\" is invalid");
    }
    if (text == "~") return ctx.error(arg, "empty regex in server name \"~\"");
    if (text.find('/') != std::string_view::npos) {
      ctx.warn(arg, "server name \"" + std::string(text) + "\" has suspicious symbols");
    }
    if (text == "$hostname") {
      char host[256] = {};
      gethostname(host, sizeof host - 1);
      text = ctx.arena().copy(host);
    }
    bool caseless = false;
    for (char c : text) caseless |= regex && c >= 'A' && c <= 'Z';
    if (!regex) text = lower(ctx.arena(), text);
    std::string_view first = text;
    if (!regex) consume(first, ".");
    if (core.names.empty()) core.first_name = first;
    core.names.push_back({text, regex, caseless});
  }
  return {};
}

namespace {

// A wildcard address hears the others of its port, too. Those whose sockets have no options of their own need
// none: the address that a client has connected to tells which it meant.
void share_sockets(std::vector<std::unique_ptr<AddressConf>>& all, std::vector<net::ListenSpec>& specs) {
  for (auto& wildcard : all) {
    if (!wildcard->address.is_wildcard()) continue;
    for (auto& other : all) {
      if (other->options_given || other->address.is_wildcard()) continue;
      if (other->address.family() != wildcard->address.family()) continue;
      if (other->address.port() != wildcard->address.port()) continue;
      other->spec = AddressConf::kNone;
      wildcard->covered.push_back(other.get());
    }
  }
  std::vector<net::ListenSpec> kept;
  for (auto& address : all) {
    if (address->spec == AddressConf::kNone) continue;
    kept.push_back(std::move(specs[address->spec]));
    address->spec = kept.size() - 1;
  }
  specs = std::move(kept);
}

}  // namespace

Status finish_listening(Context& ctx) {
  auto& main = ctx.conf<CoreMain>();
  if (main.addresses == nullptr) main.addresses = std::make_shared<ListenAddresses>();
  share_sockets(main.addresses->all, ctx.configuration().root().get<conf::ProcessWide>().listeners);
  for (auto& address : main.addresses->all) {
    for (Server* server : address->servers) TRY(add_names(ctx, *address, *server));
  }
  return {};
}

}  // namespace mp::http
