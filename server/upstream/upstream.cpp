#include "upstream/upstream.hpp"

#include <algorithm>
#include <string>

#include "base/ascii.hpp"
#include "base/digest.hpp"
#include "base/numbers.hpp"
#include "conf/configuration.hpp"
#include "http/core_conf.hpp"
#include "upstream/resolver_conf.hpp"
#include "upstream/zone.hpp"

namespace mp::upstream {
namespace {

std::string quoted(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

bool same_host(std::string_view a, std::string_view b) {
  return equals_nocase(a, b);
}

// What a sticky cookie calls a peer: the route, or the MD5 sum of its name.
void set_sid(Peer& peer, std::string_view route) {
  if (!route.empty()) {
    peer.sid_size = static_cast<std::uint8_t>(std::min(route.size(), kSidSize));
    std::copy_n(route.begin(), peer.sid_size, peer.sid_text);
    return;
  }
  const auto sum = md5(peer.name());
  hex_into(peer.sid_text, sum.data(), sum.size());
  peer.sid_size = kSidSize;
}

}  // namespace

void init_peer(Peer& peer, const ServerLine& line, const net::Address& address) {
  peer.set_address(address);
  peer.line = &line;
  peer.server = line.name;
  peer.weight = peer.effective_weight = line.weight;
  peer.max_conns = line.max_conns;
  peer.max_fails = line.max_fails;
  peer.fail_timeout = line.fail_timeout;
  peer.state = line.state;
  set_sid(peer, line.route);
}

// ---- UpstreamMain

Result<Upstream*> UpstreamMain::find_or_add(conf::Context& ctx, const conf::Node& node,
                                            const net::AddressUrl& url) {
  for (Upstream* u : all) {
    if (!same_host(u->host, url.host)) continue;
    if (u->is_block && url.has_port()) {
      return ctx.error(node,
                       "upstream " + quoted(url.host) + " may not have port " + std::to_string(url.port));
    }
    if (u->port != 0 && url.port != 0 && u->port != url.port) continue;
    return u;
  }
  auto* made = ctx.arena().make<Upstream>();
  made->host = url.host;
  made->port = url.port;
  made->no_port = !url.has_port();
  made->position = node.end;
  if (url.address.specified() && (url.port != 0 || url.address.is_unix())) {
    ServerLine line;
    line.addresses.push_back(url.address);
    line.name = ctx.arena().copy(url.address.text_with_port());
    made->servers.push_back(std::move(line));
  }
  all.push_back(made);
  return made;
}

Upstream* UpstreamMain::find(std::string_view host, std::uint16_t port, bool no_port) const {
  for (Upstream* u : all) {
    if (same_host(u->host, host) && ((u->port == 0 && no_port) || u->port == port)) return u;
  }
  return nullptr;
}

Status UpstreamMain::finish(conf::Context& ctx) {
  for (Upstream* u : all) TRY(u->prepare(ctx));
  return {};
}

void close_idle_links(const conf::Configuration& configuration) {
  if (configuration.root()[conf::Level::main] == nullptr) return;  // no http {}
  for (Upstream* u : configuration.root().get<UpstreamMain>().all) {
    u->pool.clear();
    u->http2.clear();
  }
}

// ---- Upstream

bool Upstream::needs_resolving() const {
  return std::any_of(servers.begin(), servers.end(),
                     [](const ServerLine& line) { return !line.host.empty(); });
}

Status Upstream::prepare(conf::Context& ctx) {
  if (!is_block && servers.empty()) TRY(resolve_implicit(ctx));
  const auto& around = ctx.conf<ResolverConf>();
  if (!resolver.is_set()) resolver.inherit(around.resolver, nullptr);
  if (!resolver_timeout.is_set()) resolver_timeout.inherit(around.timeout, 30000);
  if (needs_resolving()) {
    if (zone == nullptr) {
      return ctx.error(position, "resolving names at run time requires upstream " + quoted(host) +
                                     " to be in shared memory");
    }
    if (resolver.get() == nullptr) {
      return ctx.error(position,
                       "no resolver defined to resolve names at run time in upstream " + quoted(host));
    }
  }
  const bool any = std::any_of(servers.begin(), servers.end(), [](const ServerLine& l) { return !l.backup; });
  if (!any) return ctx.error(position, "no servers in upstream " + quoted(host));
  if (!keepalive.is_set()) keepalive_local = true;
  keepalive.inherit({}, 32);
  keepalive_time.inherit({}, 3600000);
  keepalive_timeout.inherit({}, 60000);
  keepalive_requests.inherit({}, 1000);
  make_peers(ctx);
  if (zone != nullptr) TRY(place_in_zone(ctx, *this));
  if (method != nullptr) TRY(method->prepare(*this));
  return {};
}

Status Upstream::resolve_implicit(conf::Context& ctx) {
  if (port == 0) return ctx.error(position, "no port in upstream " + quoted(host));
  auto addresses = net::resolve_host(host, port);
  if (!addresses) return ctx.error(position, addresses.error().text + " in upstream " + quoted(host));
  ServerLine line;
  line.addresses = std::move(*addresses);
  line.name = host;
  servers.push_back(std::move(line));
  return {};
}

void Upstream::make_peers(conf::Context& ctx) {
  peers = ctx.arena().make<PeerGroup>();
  peers->name = host;
  for (const ServerLine& line : servers) {
    if (!line.host.empty()) continue;
    for (const net::Address& address : line.addresses) {
      auto* peer = ctx.arena().make<Peer>();
      init_peer(*peer, line, address);
      (line.backup ? peers->backup : peers->primary).append(*peer);
    }
  }
  peers->dynamic = needs_resolving();
  peers->update_single();
}

}  // namespace mp::upstream
