// Peers: the servers behind one upstream name with what is known of each (weight, failures, connections in
// use).
//
// Owned by the configuration's arena, or, when the upstream has a `zone`, by shared memory, where all workers
// see the same numbers. Pointers in a shared peer lead into its zone or into the configuration: every worker
// inherits both at the same addresses. A PeerGroup in a zone is locked while it is read or changed; the lock
// is never held across a wait.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/shm/lock.hpp"
#include "base/shm/slab.hpp"
#include "net/address.hpp"

namespace mp::upstream {

struct ServerLine;

inline constexpr std::size_t kSidSize = 32;  // hexadecimal digits of an MD5 sum; the longest `route=`

struct Peer {
  enum class State : std::uint8_t { up, down, draining };

  net::Address address;
  char name_text[net::Address::kMaxText];
  std::uint8_t name_size = 0;
  std::string_view server;  // as the configuration wrote it: what consistent hashing places on its ring
  char sid_text[kSidSize];
  std::uint8_t sid_size = 0;

  int weight = 1;
  int effective_weight = 1;  // lowered by failures, grows back by use
  int current_weight = 0;
  unsigned conns = 0;
  unsigned max_conns = 0;  // 0: no limit
  unsigned fails = 0;
  unsigned max_fails = 1;  // 0: failures do not count
  std::int64_t fail_timeout = 10;
  std::int64_t accessed = 0;  // monotonic seconds of the last failure
  std::int64_t checked = 0;   // of the last failure, or the last try after one
  State state = State::up;

  // What least_time goes by: averages in milliseconds, and the requests under way.
  std::uint64_t header_time = 0;
  std::uint64_t response_time = 0;
  std::uint64_t inflight_time = 0;     // how long the present requests have taken, on average
  std::uint64_t inflight_last = 0;     // the sum of that when their number last changed
  std::uint64_t inflight_changed = 0;  // when that was
  unsigned inflight = 0;

  Peer* next = nullptr;
  const ServerLine* line = nullptr;  // the directive it comes from; of this configuration
  unsigned refs = 0;                 // requests that hold it
  bool removed = false;              // gone from the lists: the last request that holds it frees it

  std::string_view name() const { return {name_text, name_size}; }
  std::string_view sid() const { return {sid_text, sid_size}; }
  void set_address(const net::Address& to, std::string_view shown = {});

  bool full() const { return max_conns != 0 && conns >= max_conns; }
  bool failing(std::int64_t now) const {
    return max_fails != 0 && fails >= max_fails && now - checked <= fail_timeout;
  }
  bool usable(std::int64_t now) const { return state == State::up && !failing(now) && !full(); }
};

struct PeerList {
  Peer* first = nullptr;
  unsigned number = 0;
  unsigned total_weight = 0;
  unsigned tries = 0;  // peers that are not marked down
  bool single = false;

  void append(Peer& peer);
  void count();  // number, total_weight, tries from the list
};

struct PeerGroup {
  ShmLock lock;
  bool shared = false;        // in a zone: take the lock
  bool dynamic = false;       // peers come and go with what names resolve to
  std::uint32_t version = 0;  // changes whenever the lists do
  std::string_view name;      // of the upstream, for messages
  PeerList primary;
  PeerList backup;
  PagePool* pool = nullptr;  // where dynamic peers are allocated
  SlabHeap* heap = nullptr;
  ShmLock* heap_lock = nullptr;  // several groups share a zone; taken inside of `lock`

  unsigned tries() const { return primary.tries + backup.tries; }
  void update_single() { primary.single = primary.number == 1 && backup.number == 0; }
  void forget(Peer& peer);  // takes one reference off; frees a removed peer with none left
  // With the lock held, in a zone only: memory for a peer with `extra` bytes behind it, or null.
  void* allocate_peer(std::size_t extra);
  void free_peer(Peer& peer);

  class Guard {
   public:
    explicit Guard(PeerGroup& group) : group_(group.shared ? &group : nullptr) {
      if (group_ != nullptr) group_->lock.lock();
    }
    ~Guard() {
      if (group_ != nullptr) group_->lock.unlock();
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    PeerGroup* group_;
  };
};

// Seconds of the monotonic clock: what failures are timed with.
std::int64_t now_seconds();

}  // namespace mp::upstream
