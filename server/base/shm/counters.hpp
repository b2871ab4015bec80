// SharedCounters: what stub_status shows, counted without contention.
//
// Every worker has a slot of its own (one cache line, plain stores); a reader adds all of them up. Made by
// the master before it forks; it takes a slot for each worker it starts and retires the slot when the
// worker is gone: what was counted stays, what was open (a crash leaves connections open) does not.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/result.hpp"
#include "base/shm/zone.hpp"

namespace mp {

// One number with one writing process; a reader sees it whole.
class Counter {
 public:
  void add(std::int64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void sub(std::int64_t n = 1) { add(-n); }
  void set(std::int64_t n) { value_.store(n, std::memory_order_relaxed); }
  std::int64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

class SharedCounters {
 public:
  // Since the start: accepted, handled, requests. Right now: active, reading, writing, waiting, fibers.
  struct alignas(64) Slot {
    Counter accepted, handled, requests;
    Counter active, reading, writing, waiting;
    Counter pid;     // of the worker; 0: none
    Counter fibers;  // after the worker's last turn
  };
  struct Totals {
    std::int64_t accepted = 0, handled = 0, requests = 0;
    std::int64_t active = 0, reading = 0, writing = 0, waiting = 0, fibers = 0;
  };

  static constexpr int kSlots = 1024;  // workers alive at one time, draining ones included

  static Result<SharedCounters> make();

  // Master only. -1 when every slot is taken; a worker then counts in slot(-1), shared and approximate.
  int take();
  void retire(int slot);

  Slot& slot(int index) const { return slots()[index + 1]; }
  Totals totals() const;

 private:
  explicit SharedCounters(std::shared_ptr<SharedMapping> memory) : memory_(std::move(memory)) {}
  Slot* slots() const { return reinterpret_cast<Slot*>(memory_->data()); }

  std::shared_ptr<SharedMapping> memory_;  // slot -1 first: what retired workers counted
  std::shared_ptr<bool[]> taken_{new bool[kSlots]()};
};

}  // namespace mp
