// TimerWheel: deadlines in O(1). Four levels of 256 slots, one millisecond a slot at the lowest. A bit for
// every slot says where timers may be, so that neither the search for the next one nor a long idle time walks
// over empty slots.
//
// A Timer is an intrusive node owned by whoever waits; destroying or disarming it unlinks it. Timers
// fire in the order of their deadlines by millisecond; within one millisecond in the order armed.
#pragma once

#include <array>
#include <cstdint>

namespace mp::fiber {

using Msec = std::uint64_t;  // milliseconds of the monotonic clock, or a duration
inline constexpr Msec kNever = ~Msec{0};

struct TimerLink {
  TimerLink* prev = nullptr;
  TimerLink* next = nullptr;
};

class Timer : TimerLink {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { disarm(); }

  bool armed() const { return prev != nullptr; }
  Msec deadline() const { return deadline_; }
  void disarm() {
    if (prev == nullptr) return;
    prev->next = next;
    next->prev = prev;
    prev = next = nullptr;
  }

 protected:
  virtual void expired() = 0;  // called with the timer disarmed; may arm it again

 private:
  friend class TimerWheel;
  Msec deadline_ = 0;
};

class TimerWheel {
 public:
  explicit TimerWheel(Msec now);

  // Arms (or re-arms) `timer` for `deadline`; one that has passed fires at the next advance().
  void arm(Timer& timer, Msec deadline);

  // Fires everything due up to and including `now`.
  void advance(Msec now);

  // Milliseconds until something may fire, counted from `now`; kNever when nothing is armed.
  // May be early (a cascade is due then), never late.
  Msec until_next(Msec now);

 private:
  static constexpr int kLevels = 4;
  static constexpr int kSlots = 256;
  // Which slots may hold timers. A timer that is disarmed leaves its bit; the search drops it.
  using Occupied = std::array<std::uint64_t, kSlots / 64>;
  void append(Timer& timer, int level, unsigned slot);
  void place(Timer& timer);
  void cascade(int level);
  void tick();
  int slots_to_next(int level);
  Msec find_next_event();

  Msec current_;        // the last millisecond that was fired
  Msec next_ = kNever;  // nothing has to be done before it: what was found last, or the first armed since
  std::array<Occupied, kLevels> occupied_{};
  std::array<std::array<TimerLink, kSlots>, kLevels> slots_;
};

}  // namespace mp::fiber
