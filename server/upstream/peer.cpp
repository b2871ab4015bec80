#include "upstream/peer.hpp"

#include <cstring>

#include "base/clock.hpp"

namespace mp::upstream {

std::int64_t now_seconds() {
  return static_cast<std::int64_t>(clock().monotonic_ms() / 1000);
}

void Peer::set_address(const net::Address& to, std::string_view shown) {
  address = to;
  if (shown.empty() || shown.size() > sizeof name_text) {
    name_size = static_cast<std::uint8_t>(address.print_with_port(name_text) - name_text);
    return;
  }
  std::memcpy(name_text, shown.data(), shown.size());
  name_size = static_cast<std::uint8_t>(shown.size());
}

void PeerList::append(Peer& peer) {
  Peer** link = &first;
  while (*link != nullptr) link = &(*link)->next;
  peer.next = nullptr;
  *link = &peer;
  count();
}

void PeerList::count() {
  number = total_weight = tries = 0;
  for (const Peer* p = first; p != nullptr; p = p->next) {
    ++number;
    total_weight += static_cast<unsigned>(p->weight);
    if (p->state != Peer::State::down) ++tries;
  }
}

void PeerGroup::forget(Peer& peer) {
  if (--peer.refs == 0 && peer.removed) free_peer(peer);
}

void* PeerGroup::allocate_peer(std::size_t extra) {
  heap_lock->lock();
  void* memory = heap->allocate(*pool, sizeof(Peer) + extra);
  heap_lock->unlock();
  return memory;
}

void PeerGroup::free_peer(Peer& peer) {
  heap_lock->lock();
  heap->release(*pool, &peer);
  heap_lock->unlock();
}

}  // namespace mp::upstream
