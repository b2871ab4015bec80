#include "fiber/timer_wheel.hpp"

#include <algorithm>

namespace mp::fiber {
namespace {

bool empty(const TimerLink& head) {
  return head.next == &head;
}

}  // namespace

TimerWheel::TimerWheel(Msec now) : current_(now) {
  for (auto& level : slots_) {
    for (auto& head : level) head.prev = head.next = &head;
  }
}

void TimerWheel::arm(Timer& timer, Msec deadline) {
  timer.disarm();
  timer.deadline_ = deadline;
  if (deadline != kNever) place(timer);
}

void TimerWheel::place(Timer& timer) {
  const Msec due = std::max(timer.deadline_, current_ + 1);
  const Msec distance = due - current_;
  int level = 0;
  while (level < kLevels - 1 && distance >> (8 * (level + 1)) != 0) ++level;
  constexpr Msec kHorizon = (Msec{1} << 32) - 1;
  const Msec at = distance > kHorizon ? current_ + kHorizon : due;
  TimerLink& head = slots_[level][(at >> (8 * level)) & (kSlots - 1)];
  timer.prev = head.prev;
  timer.next = &head;
  head.prev->next = &timer;
  head.prev = &timer;
}

// Spreads the slot of `level` that the clock has reached over the levels below.
void TimerWheel::cascade(int level) {
  TimerLink& head = slots_[level][(current_ >> (8 * level)) & (kSlots - 1)];
  TimerLink* link = head.next;
  head.prev = head.next = &head;
  while (link != &head) {
    auto& timer = static_cast<Timer&>(*link);
    link = link->next;
    timer.prev = timer.next = nullptr;
    // What is due in this very millisecond belongs in the slot that tick() is about to fire.
    if (timer.deadline_ <= current_) {
      TimerLink& now = slots_[0][current_ & (kSlots - 1)];
      timer.prev = now.prev;
      timer.next = &now;
      now.prev->next = &timer;
      now.prev = &timer;
    } else {
      place(timer);
    }
  }
}

void TimerWheel::tick() {
  ++current_;
  for (int level = 1; level < kLevels && (current_ & ((Msec{1} << (8 * level)) - 1)) == 0; ++level)
    cascade(level);
  TimerLink& head = slots_[0][current_ & (kSlots - 1)];
  while (!empty(head)) {
    auto& timer = static_cast<Timer&>(*head.next);
    timer.disarm();
    timer.expired();
  }
}

void TimerWheel::advance(Msec now) {
  while (current_ < now) tick();
}

Msec TimerWheel::until_next(Msec now) const {
  for (int i = 1; i <= kSlots; ++i) {
    const Msec at = current_ + i;
    const bool cascades = (at & (kSlots - 1)) == 0;
    if (!empty(slots_[0][at & (kSlots - 1)])) return at > now ? at - now : 0;
    if (cascades) {
      const bool upper = std::any_of(slots_.begin() + 1, slots_.end(), [](const auto& level) {
        return std::any_of(level.begin(), level.end(), [](const TimerLink& head) { return !empty(head); });
      });
      if (!upper) {
        for (int j = i + 1; j <= kSlots; ++j) {
          if (!empty(slots_[0][(current_ + j) & (kSlots - 1)]))
            return current_ + j > now ? current_ + j - now : 0;
        }
        return kNever;
      }
      return at > now ? at - now : 0;
    }
  }
  return kNever;
}

}  // namespace mp::fiber
