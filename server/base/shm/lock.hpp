// ShmLock: mutual exclusion between processes, living in shared memory (all zero bytes is "free").
//
// A futex word holds the owner's process id, so a lock whose owner was killed can be told from a busy
// one: a waiter that has slept for kLivenessCheck takes it over. The owner marks the moment from which
// the protected structure is inconsistent (begin_change); whoever takes over learns from lock() whether
// that was the case (torn) and has to rebuild the structure, or finds it as good as ever (clean).
// Never held across a park: the holder runs straight through and its critical section is short.
// Threads of one process may contend for it; it is not recursive.
#pragma once

#include <atomic>
#include <cstdint>

namespace mp {

// The id of this process without a system call; right after fork() too.
std::uint32_t process_id();

class ShmLock {
 public:
  enum class Found : std::uint8_t { clean, torn };

  Found lock() {
    std::uint32_t free = 0;
    if (word_.compare_exchange_strong(free, process_id(), std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
      return Found::clean;
    }
    return wait();
  }

  void unlock() {
    changing_.store(0, std::memory_order_relaxed);
    if (word_.exchange(0, std::memory_order_release) & kWaiters) wake();
  }

  // Between these two the structure must not be trusted by a successor. unlock() implies end_change().
  void begin_change() {
    changing_.store(1, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);  // a kill lets everything stored so far be seen
  }
  void end_change() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    changing_.store(0, std::memory_order_relaxed);
  }

 private:
  static constexpr std::uint32_t kWaiters = 0x80000000;

  Found wait();
  void wake();

  std::atomic<std::uint32_t> word_{0};
  std::atomic<std::uint32_t> changing_{0};
};

}  // namespace mp
