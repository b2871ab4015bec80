// The two scopes that ShmDict's functions work in, and its lock-free reading. For the dict*.cpp files only.
#pragma once

#include <atomic>
#include <cstring>

#include "base/shm/gone.hpp"
#include "lua/shdict/dict.hpp"

namespace mp::lua {
namespace shdict {

// As many processes overwrite numbers without a latch; where there is one shard, none does.
inline constexpr std::size_t kMostPins = 128;
inline std::size_t pins_of(std::size_t shards) {
  return shards == 1 ? 0 : kMostPins;
}

// A number's place: 8 bytes that are read and written whole.
inline std::uint64_t* number_in(Entry& entry) {
  return reinterpret_cast<std::uint64_t*>(entry.value());
}

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace shdict

// Reads a field that a writer may be changing: once, and whole.
template <class T>
inline T racy(const T& field) {
  return *const_cast<const volatile T*>(&field);
}

// The lock of a shard whose contents are sound.
class ShmDict::Held {
 public:
  // `changing`: the contents are lost when this process dies inside.
  Held(ShmDict& dict, Shard& shard, bool changing = true) : shard_(shard) {
    for (;;) {
      if (shard.lock.lock() == ShmLock::Found::torn) dict.control_.torn.store(1, std::memory_order_relaxed);
      if (dict.pool_.torn()) dict.control_.torn.store(1, std::memory_order_relaxed);
      if (dict.control_.torn.load(std::memory_order_relaxed) == 0) break;
      shard.lock.unlock();
      dict.reset_torn();
    }
    if (changing) shard.lock.begin_change();
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() { shard_.lock.unlock(); }

 private:
  Shard& shard_;
};

// While it is held, readers and other writers of the bucket wait. Its holder waits for nothing.
class ShmDict::Latch {
 public:
  Latch(ShmDict& dict, Bucket& bucket) : bucket_(bucket), after_(dict.latch(bucket)) {}
  Latch(const Latch&) = delete;
  Latch& operator=(const Latch&) = delete;
  ~Latch() { unlatch(bucket_, after_); }

 private:
  Bucket& bucket_;
  const std::uint32_t after_;
};

// The same for who holds the lock of the bucket's shard. Opening one inside another is fine.
class ShmDict::Window {
 public:
  Window(ShmDict& dict, Shard& shard, Bucket& bucket) : shard_(shard), bucket_(bucket) {
    const std::uint32_t number = dict.number_of(bucket);
    inner_ = shard.latched == number;
    if (inner_) return;
    after_ = dict.latch(bucket);
    dict.wait_for_pins(&bucket);
    outer_ = shard.latched;
    shard.latched = number;
  }
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;
  ~Window() {
    if (inner_) return;
    shard_.latched = outer_;
    unlatch(bucket_, after_);
  }

 private:
  Shard& shard_;
  Bucket& bucket_;
  bool inner_;
  std::uint32_t after_ = 0;
  std::uint32_t outer_ = 0;
};

// Asks for a cache line that will be written: reading it first would fetch it twice.
inline void expect_write(const void* address) {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(address)));
#else
  __builtin_prefetch(address, 1);
#endif
}

inline ShmDict::Words ShmDict::words_of(std::string_view key) {
  const char* bytes = key.data();
  const std::size_t size = key.size();
  const auto read = [bytes]<class T>(T, std::size_t at) {
    T word;
    std::memcpy(&word, bytes + at, sizeof word);
    return std::uint64_t{word};
  };
  // Two reads that overlap reach every length; where they do, they agree.
  if (size >= 8) {
    const std::uint64_t last = read(std::uint64_t{}, size - 8);
    return {read(std::uint64_t{}, 0), size == 8 ? 0 : last >> (8 * (16 - size))};
  }
  if (size >= 4) {
    return {read(std::uint32_t{}, 0) | read(std::uint32_t{}, size - 4) << (8 * (size - 4)), 0};
  }
  if (size == 0) return {};
  return {read(std::uint8_t{}, 0) | read(std::uint8_t{}, size / 2) << (8 * (size / 2)) |
              read(std::uint8_t{}, size - 1) << (8 * (size - 1)),
          0};
}

// Two rounds of a wide multiplication, as in wyhash; the seed is secret.
inline std::uint64_t ShmDict::hash_short(const Words& words, std::size_t size, std::uint64_t seed) {
  const auto mix = [](std::uint64_t a, std::uint64_t b) {
    __extension__ using Wide = unsigned __int128;
    const Wide product = Wide{a} * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15u;
  const std::uint64_t once = mix(words.low ^ seed, words.high ^ (seed * kOdd));
  return mix(once ^ seed, size ^ kOdd);
}

inline ShmDict::Spot ShmDict::spot(std::string_view key) const {
  Spot spot{};
  spot.key = key;
  std::uint64_t wide;
  if (key.size() <= kShortKey) {
    spot.words = words_of(key);
    wide = hash_short(spot.words, key.size(), control_.seed);
  } else {
    wide = hash_long(key, control_.seed);
  }
  spot.hash = static_cast<std::uint32_t>(wide);
  if (spot.hash == 0) spot.hash = 1;  // 0 means "none" to Bucket::touched
  const std::uint64_t shard = (wide >> 32) & (shard_count_ - 1);
  spot.shard = &shards_[shard];
  spot.bucket = &buckets_[(shard << shard_shift_) + (spot.hash & ((1u << shard_shift_) - 1))];
  return spot;
}

// Of an entry whose hash and size are the key's.
inline bool ShmDict::same_key(const Entry& entry, const Spot& spot) {
  const char* stored = entry.key();
  if (spot.key.size() > kShortKey) return std::memcmp(stored, spot.key.data(), spot.key.size()) == 0;
  Words words;
  std::memcpy(&words.low, stored, sizeof words.low);
  if (spot.key.size() > 8) std::memcpy(&words.high, stored + 8, sizeof words.high);
  return words.low == spot.words.low && words.high == spot.words.high;
}

inline ShmDict::Entry* ShmDict::find(const Spot& spot) const {
  for (Ref ref = spot.bucket->head.load(std::memory_order_acquire); ref != 0;) {
    Entry* entry = at<Entry>(ref);
    if (entry->hash == spot.hash && entry->key_size == spot.key.size() && same_key(*entry, spot)) {
      return entry;
    }
    ref = entry->next;
  }
  return nullptr;
}

inline const ShmDict::Entry* ShmDict::walk(const Spot& spot, bool& overrun) const {
  constexpr int kLongest = 1000;  // garbage may lead in circles
  const std::size_t reach = sizeof(Entry) + Entry::padded(spot.key.size());
  Ref ref = spot.bucket->head.load(std::memory_order_acquire);
  for (int i = 0; i < kLongest; ++i) {
    if (ref == 0) return nullptr;
    const Entry* entry = at<Entry>(ref);
    if (!holds(entry, reach)) return nullptr;
    if (racy(entry->hash) == spot.hash && racy(entry->key_size) == spot.key.size() &&
        same_key(*entry, spot)) {
      return entry;
    }
    ref = racy(entry->next);
  }
  overrun = true;
  return nullptr;
}

template <class Visit>
bool ShmDict::read(const Spot& spot, Visit visit) const {
  constexpr int kAttempts = 64;
  for (int i = 0; i < kAttempts; ++i) {
    const std::uint64_t version = spot.bucket->latch.load(std::memory_order_acquire);
    if (version & 1) {
      shdict::relax();
      continue;
    }
    bool overrun = false;
    visit(walk(spot, overrun));
    if (overrun) return false;
    std::atomic_thread_fence(std::memory_order_acquire);
    if (spot.bucket->latch.load(std::memory_order_relaxed) != version) continue;
    // Who finds a dead process's latch takes it, and leaves what is below to who has all the locks.
    return control_.torn.load(std::memory_order_relaxed) == 0;
  }
  return false;
}

}  // namespace mp::lua
