// Upstream: what one name in proxy_pass and the like stands for: an upstream {} block, or the addresses of a
// host (implicit). Belongs to the configuration; its pool of idle connections belongs to the worker that uses
// it.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/shm/zone.hpp"
#include "conf/context.hpp"
#include "conf/setting.hpp"
#include "conf/values.hpp"
#include "net/address.hpp"
#include "net/address_url.hpp"
#include "upstream/balancer.hpp"
#include "upstream/h2_client.hpp"
#include "upstream/peer.hpp"
#include "upstream/pool.hpp"
#include "upstream/sticky.hpp"

namespace mp::net {
class Resolver;
}

namespace mp::upstream {

// One `server` of an upstream {}.
struct ServerLine {
  std::string_view name;  // as written
  std::vector<net::Address> addresses;
  std::string_view host;  // `resolve`: the name to ask for while running, with `port`
  std::string_view service;
  std::uint16_t port = 0;
  int weight = 1;
  unsigned max_conns = 0;
  unsigned max_fails = 1;
  std::int64_t fail_timeout = 10;
  bool backup = false;
  Peer::State state = Peer::State::up;
  std::string_view route;
};

// Parameters of `server` that a balancing method understands.
enum class ServerParam : std::uint8_t { all, no_backup };

struct NameWatches;

struct Upstream {
  std::string_view host;   // the name
  std::uint16_t port = 0;  // implicit ones only; 0: none was written
  bool no_port = false;
  bool is_block = false;  // upstream {}, not implicit
  conf::Position position;
  conf::Sets sets;  // of upstream {}

  std::vector<ServerLine> servers;
  std::unique_ptr<Method> method;  // null: round robin
  ServerParam server_params = ServerParam::all;
  PeerGroup* peers = nullptr;
  Zone* zone = nullptr;

  conf::Setting<std::shared_ptr<net::Resolver>> resolver;
  conf::Setting<conf::Msec> resolver_timeout;

  conf::Setting<std::int64_t> keepalive;           // idle connections kept a worker; 32 [local] when unset
  bool keepalive_local = false;                    // only for the location that opened them
  conf::Setting<conf::Msec> keepalive_time;        // 1h
  conf::Setting<conf::Msec> keepalive_timeout;     // 60s
  conf::Setting<std::int64_t> keepalive_requests;  // 1000
  IdlePool pool;
  H2Pool http2;

  std::unique_ptr<Sticky> sticky;  // null: sessions do not matter

  std::shared_ptr<NameWatches> name_watches;  // this worker's, while it asks for names

  bool needs_resolving() const;
  // Makes the peers, once everything was read.
  Status prepare(conf::Context& ctx);

 private:
  Status resolve_implicit(conf::Context& ctx);
  void make_peers(conf::Context& ctx);
};

// The set of an upstream {} block.
struct UpstreamBlock {
  static constexpr conf::Level kLevel = conf::Level::upstream;
  Upstream* upstream = nullptr;
};

struct UpstreamMain {
  static constexpr conf::Level kLevel = conf::Level::main;
  std::vector<Upstream*> all;

  // The upstream that `url` names: one that exists, or an implicit one made now. Errors as nginx words them.
  Result<Upstream*> find_or_add(conf::Context& ctx, const conf::Node& node, const net::AddressUrl& url);
  // For addresses known at run time only: null when no upstream has this name.
  Upstream* find(std::string_view host, std::uint16_t port, bool no_port) const;

  Status finish(conf::Context& ctx);
};

// What a directive that names a balancing method does: warns when there is one already, and takes its place.
void select_method(conf::Context& ctx, const conf::Node& node, std::unique_ptr<Method> method,
                   ServerParam params);

// Closes the idle connections of this worker: it is about to end.
void close_idle_links(const conf::Configuration& configuration);

extern const conf::Module kUpstreamModule;

}  // namespace mp::upstream
