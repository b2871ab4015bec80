#include "fiber/timer_wheel.hpp"

#include <algorithm>
#include <bit>

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

void TimerWheel::append(Timer& timer, int level, unsigned slot) {
  TimerLink& head = slots_[level][slot];
  timer.prev = head.prev;
  timer.next = &head;
  head.prev->next = &timer;
  head.prev = &timer;
  occupied_[level][slot / 64] |= std::uint64_t{1} << (slot % 64);
}

void TimerWheel::place(Timer& timer) {
  const Msec due = std::max(timer.deadline_, current_ + 1);
  const Msec distance = due - current_;
  const int level = std::min((static_cast<int>(std::bit_width(distance)) - 1) / 8, kLevels - 1);
  constexpr Msec kHorizon = (Msec{1} << 32) - 1;
  const Msec at = distance > kHorizon ? current_ + kHorizon : due;
  append(timer, level, (at >> (8 * level)) & (kSlots - 1));
  next_ = std::min(next_, at >> (8 * level) << (8 * level));
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
      append(timer, 0, current_ & (kSlots - 1));
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
  // Nothing happens before the next event: the clock may jump there.
  while (next_ <= now) {
    // What it was found for may have been disarmed.
    if (next_ = find_next_event(); next_ > now) break;
    current_ = next_ - 1;
    tick();
    next_ = find_next_event();
  }
  current_ = std::max(current_, now);
}

// How many slots ahead of the clock's the next one with a timer lies, 1 to kSlots; 0: there is none.
int TimerWheel::slots_to_next(int level) {
  Occupied& occupied = occupied_[level];
  const unsigned from = static_cast<unsigned>((current_ >> (8 * level)) + 1) & (kSlots - 1);
  // Five words: the first and the last are two parts of the same one.
  for (unsigned i = 0; i <= kSlots / 64; ++i) {
    const unsigned word = (from / 64 + i) % (kSlots / 64);
    std::uint64_t bits = occupied[word];
    if (i == 0) bits &= ~std::uint64_t{0} << (from % 64);
    if (i == kSlots / 64) bits &= (std::uint64_t{1} << (from % 64)) - 1;
    for (; bits != 0; bits &= bits - 1) {
      const auto bit = static_cast<unsigned>(std::countr_zero(bits));
      const unsigned slot = word * 64 + bit;
      if (!empty(slots_[level][slot])) return static_cast<int>((slot - from) & (kSlots - 1)) + 1;
      occupied[word] &= ~(std::uint64_t{1} << bit);
    }
  }
  return 0;
}

// The next millisecond in which a timer fires or a slot with timers is spread; kNever when nothing is armed.
Msec TimerWheel::find_next_event() {
  Msec next = kNever;
  for (int level = 0; level < kLevels; ++level) {
    if (const int slots = slots_to_next(level); slots != 0) {
      next = std::min(next, ((current_ >> (8 * level)) + static_cast<Msec>(slots)) << (8 * level));
    }
  }
  return next;
}

Msec TimerWheel::until_next(Msec now) {
  if (next_ <= now) next_ = find_next_event();
  if (next_ == kNever) return kNever;
  return next_ > now ? next_ - now : 0;
}

}  // namespace mp::fiber
