// The two scopes that ShmDict's functions work in, and its lock-free reading. For the dict*.cpp files only.
#pragma once

#include <atomic>

#include "lua/shdict/dict.hpp"

namespace mp::lua {

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

// While it is open, readers of the bucket wait. Opening one inside another is fine: the lock says it is ours.
class ShmDict::Window {
 public:
  explicit Window(Bucket& bucket) : bucket_(bucket), before_(bucket.version.load(std::memory_order_relaxed)) {
    if (before_ & 1) return;
    bucket.version.store(before_ + 1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
  }
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;
  ~Window() {
    if ((before_ & 1) == 0) bucket_.version.store(before_ + 2, std::memory_order_release);
  }

 private:
  Bucket& bucket_;
  const std::uint32_t before_;
};

template <class Visit>
bool ShmDict::read(const Spot& spot, Visit visit) const {
  constexpr int kAttempts = 64;
  for (int i = 0; i < kAttempts; ++i) {
    const std::uint32_t version = spot.bucket->version.load(std::memory_order_acquire);
    if (version & 1) {
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
      continue;
    }
    bool overrun = false;
    visit(walk(spot, overrun));
    if (overrun) return false;
    std::atomic_thread_fence(std::memory_order_acquire);
    if (spot.bucket->version.load(std::memory_order_relaxed) == version) return true;
  }
  return false;
}

}  // namespace mp::lua
