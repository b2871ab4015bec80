#include "upstream/zone.hpp"

#include <algorithm>
#include <new>
#include <string>
#include <vector>

#include "base/numbers.hpp"
#include "conf/configuration.hpp"
#include "conf/process_conf.hpp"
#include "upstream/resolve.hpp"
#include "upstream/upstream.hpp"

namespace mp::upstream {
namespace {

constexpr char kTag = 0;

// The upstreams that share one zone, and the heap their peers are cut from; it lies in the zone's index.
struct ZoneUsers {
  std::vector<Upstream*> upstreams;
};

struct Heap {
  ShmLock lock;
  SlabHeap heap;
};

Status copy_list(Zone& zone, SlabHeap& heap, PeerList& list) {
  const Peer* from = list.first;
  list.first = nullptr;
  for (; from != nullptr; from = from->next) {
    void* memory = heap.allocate(zone.pool(), sizeof(Peer));
    if (memory == nullptr) return fail("zone \"" + std::string(zone.name()) + "\" is too small");
    list.append(*new (memory) Peer(*from));
  }
  return {};
}

// What the names of `upstream` stood for in the configuration before: the first requests of this one need not
// wait for the name server.
void take_resolved(Upstream& upstream, const Zone* former) {
  if (former == nullptr) return;
  const auto& olds = former->owner<ZoneUsers>()->upstreams;
  const auto found =
      std::find_if(olds.begin(), olds.end(), [&](const Upstream* old) { return old->host == upstream.host; });
  if (found == olds.end()) return;
  for (const ServerLine& line : upstream.servers) {
    if (line.host.empty()) continue;
    const auto same = [&](const ServerLine& old) {
      return old.host == line.host && old.service == line.service && old.backup == line.backup;
    };
    const auto& lines = (*found)->servers;
    const auto old = std::find_if(lines.begin(), lines.end(), same);
    if (old != lines.end()) copy_resolved(*upstream.peers, line, *(*found)->peers, *old);
  }
}

Status move_in(Zone& zone, const Zone*) {
  auto& place = *static_cast<Heap*>(zone.index());
  SlabHeap& heap = place.heap;
  heap.reset();
  for (Upstream* upstream : zone.owner<ZoneUsers>()->upstreams) {
    void* memory = heap.allocate(zone.pool(), sizeof(PeerGroup));
    if (memory == nullptr) return fail("zone \"" + std::string(zone.name()) + "\" is too small");
    auto* group = new (memory) PeerGroup();
    group->shared = true;
    group->dynamic = upstream->peers->dynamic;
    group->name = upstream->peers->name;
    group->primary = upstream->peers->primary;
    group->backup = upstream->peers->backup;
    group->pool = &zone.pool();
    group->heap = &heap;
    group->heap_lock = &place.lock;
    TRY(copy_list(zone, heap, group->primary));
    TRY(copy_list(zone, heap, group->backup));
    group->primary.count();
    group->backup.count();
    upstream->peers = group;
    take_resolved(*upstream, zone.former());
    group->update_single();
  }
  return {};
}

}  // namespace

Status parse_zone(conf::Context& ctx, const conf::Node& node) {
  Upstream& upstream = *ctx.conf<UpstreamBlock>().upstream;
  const std::string_view name = node.args[0].text;
  if (name.empty()) return ctx.error(node.args[0], "invalid zone name \"\"");
  std::size_t size = 0;
  if (node.args.size() == 2) {
    const auto given = parse_size(node.args[1].text);
    if (!given)
      return ctx.error(node.args[1], "invalid zone size \"" + std::string(node.args[1].text) + "\"");
    size = static_cast<std::size_t>(*given);
    constexpr std::size_t kLeastPages = 8;
    if (size < kLeastPages * kShmPage)
      return ctx.error(node.args[0], "zone \"" + std::string(name) + "\" is too small");
  }
  auto& zones = ctx.configuration().root().get<conf::ProcessWide>().zones;
  auto zone = zones.declare(name, size, &kTag);
  if (!zone) return ctx.error(node.args[0], zone.error().text);
  upstream.zone = *zone;
  return {};
}

Status place_in_zone(conf::Context&, Upstream& upstream) {
  Zone& zone = *upstream.zone;
  auto* users = zone.owner<ZoneUsers>();
  if (users == nullptr) {
    auto made = std::make_shared<ZoneUsers>();
    users = made.get();
    zone.set_owner(std::move(made));
    zone.never_reuse();
    zone.on_attach(sizeof(Heap), move_in);
  }
  users->upstreams.push_back(&upstream);
  return {};
}

}  // namespace mp::upstream
