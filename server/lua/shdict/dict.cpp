// Structure: where keys live, the order of use, eviction, starting and restarting.
#include "lua/shdict/dict.hpp"

#include <bit>
#include <cstring>
#include <ctime>

#include <sched.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lua/shdict/dict_impl.hpp"

namespace mp::lua {
namespace {

using shdict::Bucket;
using shdict::Control;
using shdict::Pin;
using shdict::pins_of;
using shdict::relax;
using shdict::Shard;

std::uint32_t shards_for(std::size_t zone_size) {
  if (zone_size < ShmDict::kShardedSize) return 1;
  if (zone_size < (std::size_t{16} << 20)) return 8;
  return zone_size < (std::size_t{64} << 20) ? 16 : 32;
}

// Two of the smallest entries to a bucket when the zone is full of them.
std::size_t buckets_for(std::size_t zone_size) {
  const std::size_t all = std::bit_ceil(zone_size / 256 + 1);
  return all / shards_for(zone_size);
}

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed) {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    seed = static_cast<std::uint64_t>(now.tv_nsec) * 0x9e3779b97f4a7c15u;
  }
  return seed;
}

}  // namespace

std::size_t ShmDict::index_bytes(std::size_t zone_size) {
  const std::size_t shards = shards_for(zone_size);
  return sizeof(Control) + shards * sizeof(Shard) + pins_of(shards) * sizeof(Pin) +
         shards * buckets_for(zone_size) * sizeof(Bucket);
}

ShmDict::ShmDict(Zone& zone, bool fresh)
    : name_(zone.name()),
      capacity_(zone.size()),
      base_(zone.base()),
      mapped_(zone.mapped_size()),
      pool_(zone.pool()),
      control_(*static_cast<Control*>(zone.index())),
      shards_(reinterpret_cast<Shard*>(&control_ + 1)),
      shard_count_(shards_for(zone.size())),
      shard_shift_(static_cast<std::uint32_t>(std::countr_zero(buckets_for(zone.size())))),
      entry_slack_(shard_count_ == 1 ? 28 : 0),
      element_slack_(shard_count_ == 1 ? 8 : 0) {
  pins_ = reinterpret_cast<Pin*>(shards_ + shard_count_);
  buckets_ = reinterpret_cast<Bucket*>(pins_ + pins_of(shard_count_));
  if (fresh) start();
  if (shard_count_ > 1) try_barriers();
}

void ShmDict::start() {
  control_.seed = random_seed();
  reset_contents();
}

// Every lock is held, or nobody else knows the zone yet.
void ShmDict::reset_contents() {
  const std::size_t buckets = std::size_t{shard_count_} << shard_shift_;
  for (std::size_t i = 0; i < buckets; ++i) (void)latch(buckets_[i]);
  wait_for_pins(nullptr);
  for (std::uint32_t i = 0; i < shard_count_; ++i) {
    shards_[i].newest = shards_[i].oldest = shards_[i].latched = 0;
    shards_[i].heap.reset();
  }
  pool_.recover();
  if (shard_count_ == 1) {
    // nginx keeps its tree and the zone's name in the zone; the same room is spent here.
    shards_[0].heap.allocate(pool_, 80);
    shards_[0].heap.allocate(pool_, sizeof(" in lua_shared_dict zone \"\"") + name_.size());
  }
  for (std::size_t i = 0; i < buckets; ++i) {
    Bucket& bucket = buckets_[i];
    bucket.head.store(0, std::memory_order_relaxed);
    bucket.touched.store(0, std::memory_order_relaxed);
    unlatch(bucket, static_cast<std::uint32_t>(bucket.latch.load(std::memory_order_relaxed)) + 1);
  }
}

void ShmDict::reset_torn() {
  (void)control_.reset_lock.lock();
  bool done = false;
  if (control_.torn.load(std::memory_order_relaxed) != 0) {
    // Nobody holds a shard's lock while waiting for another one or for reset_lock, so this ends.
    for (std::uint32_t i = 0; i < shard_count_; ++i) (void)shards_[i].lock.lock();
    for (std::uint32_t i = 0; i < shard_count_; ++i) shards_[i].lock.begin_change();
    reset_contents();
    control_.resets.fetch_add(1, std::memory_order_relaxed);
    control_.torn.store(0, std::memory_order_relaxed);
    for (std::uint32_t i = 0; i < shard_count_; ++i) shards_[i].lock.unlock();
    done = true;
  }
  control_.reset_lock.unlock();
  if (done) {
    log::alert(
        logger_,
        "a process died while it was changing shared memory zone \"{}\", all of its entries are dropped",
        name_);
  }
}

std::uint32_t ShmDict::latch(Bucket& bucket) {
  constexpr int kSpins = 200;  // then the holder was preempted, or killed
  const std::uint64_t me = std::uint64_t{process_id()} << 32;
  if (shard_count_ == 1) {  // whoever comes here has the only lock
    const auto version = static_cast<std::uint32_t>(bucket.latch.load(std::memory_order_relaxed)) | 1;
    bucket.latch.store(me | version, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    return version + 1;
  }
  expect_write(&bucket);
  for (int i = 0;; ++i) {
    std::uint64_t seen = bucket.latch.load(std::memory_order_relaxed);
    const auto version = static_cast<std::uint32_t>(seen);
    if ((version & 1) == 0) {
      if (!bucket.latch.compare_exchange_weak(seen, me | (version + 1), std::memory_order_seq_cst,
                                              std::memory_order_relaxed)) {
        continue;
      }
      std::atomic_thread_fence(std::memory_order_release);
      return version + 2;
    }
    if (i < kSpins) {
      relax();
      continue;
    }
    if (process_is_gone(static_cast<std::uint32_t>(seen >> 32))) {
      control_.torn.store(1, std::memory_order_relaxed);
      if (bucket.latch.compare_exchange_strong(seen, me | version, std::memory_order_seq_cst,
                                               std::memory_order_relaxed)) {
        return version + 1;
      }
      continue;
    }
    sched_yield();
  }
}

ShmDict::Bucket& ShmDict::bucket_of(Shard& shard, std::uint32_t hash) const {
  const auto first = static_cast<std::size_t>(&shard - shards_) << shard_shift_;
  return buckets_[first + (hash & ((1u << shard_shift_) - 1))];
}

std::uint64_t ShmDict::hash_long(std::string_view key, std::uint64_t seed) {
  return XXH3_64bits_withSeed(key.data(), key.size(), seed);
}

void ShmDict::link_newest(Shard& shard, Entry& entry) {
  const Ref ref = ref_of(&entry);
  if (shard_count_ > 1 && entry.type != Type::list) {
    entry.stamp = control_.sequence.fetch_add(1, std::memory_order_relaxed);
  }
  entry.used.store(0, std::memory_order_relaxed);
  entry.newer = 0;
  entry.older = shard.newest;
  if (shard.newest != 0) {
    at<Entry>(shard.newest)->newer = ref;
  } else {
    shard.oldest = ref;
  }
  shard.newest = ref;
}

void ShmDict::unlink(Shard& shard, Entry& entry) {
  (entry.newer != 0 ? at<Entry>(entry.newer)->older : shard.newest) = entry.older;
  (entry.older != 0 ? at<Entry>(entry.older)->newer : shard.oldest) = entry.newer;
}

void ShmDict::touch(Shard& shard, Entry& entry) {
  if (entry.newer == 0) return;
  unlink(shard, entry);
  link_newest(shard, entry);
}

void ShmDict::clear_list(Shard& shard, Entry& entry) {
  for (Ref ref = entry.first; ref != 0;) {
    auto* element = at<Element>(ref);
    ref = element->next;
    shard.heap.release(pool_, element);
  }
  entry.first = entry.last = 0;
  entry.value_size = 0;
}

void ShmDict::remove(Shard& shard, Entry& entry) {
  Bucket& bucket = bucket_of(shard, entry.hash);
  Window window(*this, shard, bucket);
  const Ref ref = ref_of(&entry);
  Ref before = bucket.head.load(std::memory_order_relaxed);
  if (before == ref) {
    bucket.head.store(entry.next, std::memory_order_relaxed);
  } else {
    while (at<Entry>(before)->next != ref) before = at<Entry>(before)->next;
    at<Entry>(before)->next = entry.next;
  }
  unlink(shard, entry);
  if (entry.type == Type::list) clear_list(shard, entry);
  shard.heap.release(pool_, &entry);
}

// The entry is complete but for its links; readers see it whole or not at all.
ShmDict::Entry* ShmDict::insert(const Spot& spot, Entry* entry) {
  entry->next = spot.bucket->head.load(std::memory_order_relaxed);
  link_newest(*spot.shard, *entry);
  spot.bucket->head.store(ref_of(entry), std::memory_order_release);
  return entry;
}

bool ShmDict::spare_used(Shard& shard, Entry& entry) {
  Bucket& bucket = bucket_of(shard, entry.hash);
  if (bucket.touched.load(std::memory_order_relaxed) == entry.hash) {
    bucket.touched.store(0, std::memory_order_relaxed);
  } else if (entry.used.load(std::memory_order_relaxed) == 0) {
    return false;
  }
  entry.used.store(0, std::memory_order_relaxed);
  touch(shard, entry);
  return true;
}

int ShmDict::drop_oldest(Shard& shard, std::uint64_t now, bool by_force) {
  int dropped = 0;
  int spared = 0;
  const int most_spared = by_force ? 64 : 2;
  for (int step = by_force ? 0 : 1; step < 3;) {
    if (shard.oldest == 0) break;
    Entry& oldest = *at<Entry>(shard.oldest);
    const bool dead = expired(oldest, now);
    if (!dead && spared < most_spared && spare_used(shard, oldest)) {
      ++spared;
      continue;
    }
    if (step != 0 && !dead) break;
    Window window(*this, shard, bucket_of(shard, oldest.hash));
    if (step++ != 0 && !expired(oldest, now)) break;  // renewed just now
    remove(shard, oldest);
    ++dropped;
  }
  return dropped;
}

ShmDict::Entry* ShmDict::make_entry(const Spot& spot, std::size_t value_size, std::uint64_t now,
                                    bool may_evict, Reply& reply) {
  constexpr int kMostEvictions = 30;
  const std::size_t size = entry_bytes(spot.key.size(), value_size);
  void* memory = spot.shard->heap.allocate(pool_, size);
  for (int i = 0; memory == nullptr && may_evict && i < kMostEvictions; ++i) {
    if (drop_oldest(*spot.shard, now, true) == 0) break;
    reply.forcible = 1;
    memory = spot.shard->heap.allocate(pool_, size);
  }
  if (memory == nullptr) return nullptr;
  auto* entry = static_cast<Entry*>(memory);
  entry->hash = spot.hash;
  entry->key_size = static_cast<std::uint16_t>(spot.key.size());
  entry->value_size = static_cast<std::uint32_t>(value_size);
  entry->last = 0;
  entry->used.store(0, std::memory_order_relaxed);
  // Zero behind the key: same_key() reads whole words.
  const std::size_t padded = Entry::padded(spot.key.size());
  std::memset(entry->key() + padded - 8, 0, 8);
  std::memcpy(entry->key(), spot.key.data(), spot.key.size());
  return entry;
}

bool ShmDict::make_room(const Shard& except, std::size_t need, std::uint64_t now, Reply& reply) {
  constexpr int kMostEvictions = 30;
  if (pool_.torn()) return true;  // taking the lock again empties the dictionary
  const std::size_t pages = need > SlabHeap::kMaxObject ? (need + kShmPage - 1) / kShmPage : 1;
  bool any = false;
  for (std::uint32_t i = 1; i < shard_count_; ++i) {
    Shard& shard = shards_[(static_cast<std::uint32_t>(&except - shards_) + i) & (shard_count_ - 1)];
    Held held(*this, shard);
    // At least one: enough pages may be free, but not side by side.
    int dropped = 0;
    while (dropped < kMostEvictions && drop_oldest(shard, now, true) != 0) {
      ++dropped;
      if (pool_.free() >= pages) break;
    }
    if (dropped == 0) continue;
    any = true;
    if (pool_.free() >= pages) break;
  }
  if (any) reply.forcible = 1;
  return any;
}

}  // namespace mp::lua
