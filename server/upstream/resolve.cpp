#include "upstream/resolve.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "conf/process_conf.hpp"
#include "fiber/scheduler.hpp"
#include "net/dns_message.hpp"
#include "net/resolver.hpp"
#include "upstream/upstream.hpp"
#include "upstream/zone.hpp"

namespace mp::upstream {
namespace {

// One address that a name stands for at present.
struct Found {
  net::Address address;
  std::string server;  // of a service: the server's own name
  int weight = 1;
  bool backup = false;
  bool present = false;  // a peer for it is there
};

bool same_address(const Peer& peer, const Found& found) {
  return peer.address == found.address;
}

bool same_peer(const Peer& peer, const ServerLine& line, const Found& found) {
  if (!same_address(peer, found)) return false;
  if (line.service.empty()) return true;
  return peer.server == found.server && (line.weight != 1 || peer.weight == found.weight);
}

// A new peer at the end of the list; false when the zone is full.
bool add_peer(PeerGroup& group, PeerList& list, const ServerLine& line, const Found& found) {
  void* memory = group.allocate_peer(found.server.size());
  if (memory == nullptr) return false;
  Peer& peer = *new (memory) Peer();
  init_peer(peer, line, found.address);
  if (!line.service.empty()) {
    char* const text = reinterpret_cast<char*>(&peer + 1);
    std::memcpy(text, found.server.data(), found.server.size());
    peer.server = {text, found.server.size()};
    if (line.weight == 1) peer.weight = peer.effective_weight = found.weight;
  }
  list.append(peer);
  ++group.version;
  return true;
}

// Takes out the peers of `line` that are not among `found`, and marks those that are.
void drop_gone(PeerGroup& group, PeerList& list, const ServerLine& line, std::vector<Found>& found,
               bool backup) {
  for (Peer** link = &list.first; *link != nullptr;) {
    Peer& peer = **link;
    const auto wanted = std::find_if(found.begin(), found.end(), [&](const Found& f) {
      return f.backup == backup && !f.present && same_peer(peer, line, f);
    });
    if (peer.line != &line || wanted != found.end()) {
      if (peer.line == &line) wanted->present = true;
      link = &peer.next;
      continue;
    }
    *link = peer.next;
    ++group.version;
    peer.removed = true;
    if (peer.refs == 0) group.free_peer(peer);
  }
  list.count();
}

// One name, asked for by this worker.
class NameWatch final : public std::enable_shared_from_this<NameWatch>, private fiber::Timer {
 public:
  NameWatch(Upstream& upstream, const ServerLine& line, log::Logger logger)
      : upstream_(upstream), line_(line), logger_(logger) {}

  void start() { fiber::here()->arm(*this, fiber::now()); }
  void stop() {
    stopped_ = true;
    disarm();
  }

 private:
  void expired() override {
    fiber::spawn([self = shared_from_this()] {
      fiber::local() = {};
      try {
        const fiber::Msec again = self->ask();
        if (!self->stopped_) fiber::here()->arm(*self, again);
      } catch (const fiber::Cancelled&) {
        // The worker ends.
      }
    });
  }

  // Returns when to ask again.
  fiber::Msec ask() {
    net::Resolver& resolver = *upstream_.resolver.get();
    const auto timeout = static_cast<fiber::Msec>(upstream_.resolver_timeout.get());
    const fiber::Msec deadline = fiber::now() + timeout;
    std::vector<Found> found;
    const Status asked =
        line_.service.empty() ? ask_name(resolver, deadline, found) : ask_service(resolver, deadline, found);
    if (!asked) {
      log::error(logger_, "{}", asked.error().text);
      const bool gone = asked.error().code == static_cast<int>(net::dns::kHostNotFound);
      if (!gone) return fiber::now() + std::max<fiber::Msec>(timeout, 1000);
      found.clear();
    }
    apply(found);
    const fiber::Msec until = line_.service.empty() ? resolver.valid_until(line_.host)
                                                    : resolver.valid_until(line_.service, line_.host);
    return std::max(until, fiber::now()) + 1000;
  }

  Status ask_name(net::Resolver& resolver, fiber::Msec deadline, std::vector<Found>& found) {
    auto addresses = resolver.resolve(line_.host, deadline);
    if (!addresses) return fail(addresses.error());
    for (net::Address& address : *addresses) {
      address.set_port(line_.port);
      found.push_back({.address = address, .backup = line_.backup});
    }
    return {};
  }

  Status ask_service(net::Resolver& resolver, fiber::Msec deadline, std::vector<Found>& found) {
    std::vector<Error> problems;
    const std::string what = "service " + std::string(line_.service) + " of " + std::string(line_.host);
    const auto servers = resolver.resolve_service(line_.service, line_.host, deadline, &problems);
    for (const Error& problem : problems) {
      log::error(logger_, "{} while resolving {}", problem.text, what);
    }
    if (!servers) {
      const int code = servers.error().code;
      return fail(what + " could not be resolved (" + std::to_string(code) + ": " +
                      std::string(net::dns::code_text(static_cast<unsigned>(code))) + ")",
                  code);
    }
    std::uint16_t first = 0xffff;
    for (const net::ServiceAddress& server : *servers) first = std::min(first, server.priority);
    for (const net::ServiceAddress& server : *servers) {
      const bool later = server.priority != first;
      if (line_.backup && later) continue;
      found.push_back({.address = server.address,
                       .server = server.target,
                       .weight = std::max<int>(server.weight, 1),
                       .backup = line_.backup || later});
    }
    return {};
  }

  void apply(std::vector<Found>& found) {
    PeerGroup& group = *upstream_.peers;
    const PeerGroup::Guard guard(group);
    for (const bool backup : {false, true}) {
      PeerList& list = backup ? group.backup : group.primary;
      drop_gone(group, list, line_, found, backup);
      for (const Found& one : found) {
        if (one.backup != backup || one.present) continue;
        if (add_peer(group, list, line_, one)) continue;
        log::error(logger_, "cannot add new server to upstream \"{}\", memory exhausted", group.name);
        break;
      }
    }
    group.update_single();
  }

  Upstream& upstream_;
  const ServerLine& line_;
  log::Logger logger_;
  bool stopped_ = false;
};

}  // namespace

struct NameWatches {
  std::vector<std::shared_ptr<NameWatch>> all;
  ~NameWatches() {
    for (const auto& watch : all) watch->stop();
  }
};

void start_resolving(const conf::Configuration& configuration, unsigned worker, unsigned workers) {
  if (configuration.root()[conf::Level::main] == nullptr) return;  // no http {}
  unsigned number = 0;
  const log::Logger logger = configuration.root().get<conf::ProcessWide>().logger();
  for (Upstream* upstream : configuration.root().get<UpstreamMain>().all) {
    if (upstream->zone == nullptr || !upstream->needs_resolving()) continue;
    auto watches = std::make_shared<NameWatches>();
    for (const ServerLine& line : upstream->servers) {
      if (line.host.empty() || number++ % workers != worker) continue;
      watches->all.push_back(std::make_shared<NameWatch>(*upstream, line, logger));
      watches->all.back()->start();
    }
    upstream->name_watches = std::move(watches);
  }
}

void stop_resolving(const conf::Configuration& configuration) {
  if (configuration.root()[conf::Level::main] == nullptr) return;
  for (Upstream* upstream : configuration.root().get<UpstreamMain>().all) upstream->name_watches.reset();
}

void copy_resolved(PeerGroup& group, const ServerLine& line, PeerGroup& old_group,
                   const ServerLine& old_line) {
  const PeerGroup::Guard guard(old_group);
  for (const bool backup : {false, true}) {
    const PeerList& from = backup ? old_group.backup : old_group.primary;
    PeerList& to = backup ? group.backup : group.primary;
    for (const Peer* peer = from.first; peer != nullptr; peer = peer->next) {
      if (peer->line != &old_line) continue;
      Found found{.address = peer->address, .weight = peer->weight, .backup = backup};
      if (line.service.empty()) {
        found.address.set_port(line.port);
      } else {
        found.server = peer->server;
      }
      if (!add_peer(group, to, line, found)) return;
    }
  }
}

}  // namespace mp::upstream
