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

// While it is held, the chain of the bucket and what its numbers are stored in stay as they are; numbers may
// change. Not always to be had.
class ShmDict::Pinned {
 public:
  Pinned(ShmDict& dict, const Bucket& bucket) : pin_(dict.my_pin()) {
    if (pin_ == nullptr) return;
    pin_->bucket.store(dict.number_of(bucket), std::memory_order_seq_cst);
    if ((bucket.latch.load(std::memory_order_seq_cst) & 1) == 0) return;
    pin_->bucket.store(0, std::memory_order_release);
    pin_ = nullptr;
  }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
  ~Pinned() {
    if (pin_ != nullptr) pin_->bucket.store(0, std::memory_order_release);
  }
  explicit operator bool() const { return pin_ != nullptr; }

 private:
  shdict::Pin* pin_;
};

// Asks for a cache line that will be written: reading it first would fetch it twice.
inline void expect_write(const void* address) {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(address)));
#else
  __builtin_prefetch(address, 1);
#endif
}

template <class Visit>
bool ShmDict::read(const Spot& spot, Visit visit) const {
  constexpr int kAttempts = 64;
  for (int i = 0; i < kAttempts; ++i) {
    const std::uint64_t version = spot.bucket->latch.load(std::memory_order_acquire);
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
    if (spot.bucket->latch.load(std::memory_order_relaxed) == version) return true;
  }
  return false;
}

}  // namespace mp::lua
