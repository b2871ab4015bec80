// Numbers that are overwritten without a lock: pins, and what is done under them.
#include <array>
#include <atomic>
#include <bit>
#include <memory>

#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lua/shdict/dict.hpp"
#include "lua/shdict/dict_impl.hpp"

namespace mp::lua {
namespace {

using shdict::Pin;
using shdict::relax;

// A fence is taken away after so many uses. Putting it back takes some fifteen microseconds, which is what a
// few hundred fences take.
constexpr std::uint32_t kFencedUses = 1 << 14;

// Makes every processor that runs a process which asked for it pass a memory barrier.
bool barrier_everywhere() {
  return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) == 0;
}
bool ask_for_barriers() {
  return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0;
}

// A store leaves its processor within the time of some cache misses, whatever happens to the process.
void outlast_stores() {
  constexpr long kLongEnough = 50'000;  // nanoseconds
  timespec begin{};
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &begin);
  do {
    relax();
    clock_gettime(CLOCK_MONOTONIC, &now);
  } while ((now.tv_sec - begin.tv_sec) * 1'000'000'000 + now.tv_nsec - begin.tv_nsec < kLongEnough);
}

// Other threads share the id of the process, and with it the pin.
bool on_main_thread() {
  enum class Thread : signed char { unknown, main, other };
  static constinit thread_local Thread thread = Thread::unknown;
  if (thread == Thread::unknown) [[unlikely]]
    thread = gettid() == getpid() ? Thread::main : Thread::other;
  return thread == Thread::main;
}

}  // namespace

// While it is held, the chain of the bucket and what its numbers are stored in stay as they are; numbers may
// change. Not always to be had.
class ShmDict::Pinned {
 public:
  Pinned(ShmDict& dict, Pin& pin, std::uint32_t number) : pin_(pin) {
    pin.bucket.store(number, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if ((pin.state.load(std::memory_order_acquire) & Pin::kModes) != Pin::kBare) dict.fence(pin, number);
    version_ = dict.buckets_[number - 1].latch.load(std::memory_order_seq_cst);
  }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
  ~Pinned() { pin_.bucket.store(0, std::memory_order_release); }
  explicit operator bool() const { return (version_ & 1) == 0; }
  // The latch's: nothing but numbers has changed in the bucket since it was the same.
  std::uint64_t version() const { return version_; }

 private:
  Pin& pin_;
  std::uint64_t version_;
};

inline Pin* ShmDict::my_pin() {
  if (!on_main_thread()) return nullptr;
  return my_pin_process_ == process_id() ? my_pin_ : find_pin();
}

[[gnu::cold]] Pin* ShmDict::find_pin() {
  const std::uint32_t me = process_id();
  my_pin_process_ = me;
  my_pin_ = nullptr;
  const std::size_t pins = shdict::pins_of(shard_count_);
  if (pins == 0) return nullptr;
  hints_ = std::make_unique<Hint[]>(kHints);
  for (std::uint32_t i = 0; i < pins; ++i) {
    Pin& pin = pins_[i];
    std::uint32_t owner = pin.owner.load(std::memory_order_relaxed);
    // Its own is that of another handle (of the configuration before), or of a namesake that died.
    if (owner != 0 && owner != me && !process_is_gone(owner)) continue;
    if (!pin.owner.compare_exchange_strong(owner, me, std::memory_order_relaxed)) continue;
    const std::uint32_t state = pin.state.load(std::memory_order_relaxed);
    pin.state.store(((state | Pin::kModes) + 1) | Pin::kFenced, std::memory_order_seq_cst);
    pin.fenced_uses = 0;
    pin.bucket.store(0, std::memory_order_relaxed);
    for (std::uint32_t given = control_.pins.load(std::memory_order_relaxed);
         given <= i && !control_.pins.compare_exchange_weak(given, i + 1, std::memory_order_seq_cst);) {
    }
    return my_pin_ = &pin;
  }
  return nullptr;
}

// In the master, before it forks: its children have asked by that. A process that has threads waits some ten
// milliseconds for the answer.
void ShmDict::try_barriers() {
  if (!ask_for_barriers() || !barrier_everywhere()) control_.fenced.store(1, std::memory_order_relaxed);
}

// Of a pin that is not bare. Nothing lies between this store and the latch that is read next.
[[gnu::noinline]] void ShmDict::fence(Pin& pin, std::uint32_t number) {
  pin.bucket.store(number, std::memory_order_seq_cst);
  if (++pin.fenced_uses < kFencedUses) return;
  pin.fenced_uses = 0;
  std::uint32_t state = pin.state.load(std::memory_order_relaxed);
  if ((state & Pin::kModes) != Pin::kFenced || control_.fenced.load(std::memory_order_relaxed) != 0) return;
  if (!ask_for_barriers()) return;
  // Who has a latch and did not see this yet will have its latch seen by the next use.
  pin.state.compare_exchange_strong(state, (state + Pin::kTurn) | Pin::kBare, std::memory_order_seq_cst);
}

// Until all have passed a barrier, others who come here need one of their own. A use that such a pin was bare
// for is seen afterwards, or sees the latch.
[[gnu::cold]] void ShmDict::revoke_bare_pins(std::uint32_t given) {
  std::array<std::uint32_t, shdict::kMostPins> states;
  for (std::uint32_t i = 0; i < given; ++i) {
    states[i] = pins_[i].state.load(std::memory_order_seq_cst);
    while ((states[i] & Pin::kModes) == Pin::kBare) {
      const std::uint32_t revoking = (states[i] & ~Pin::kModes) | Pin::kRevoking;
      if (pins_[i].state.compare_exchange_weak(states[i], revoking, std::memory_order_seq_cst)) {
        states[i] = revoking;
      }
    }
  }
  if (!barrier_everywhere()) {
    // This process has been forbidden it since; that happens once for each pin.
    control_.fenced.store(1, std::memory_order_relaxed);
    outlast_stores();
  }
  for (std::uint32_t i = 0; i < given; ++i) {
    if ((states[i] & Pin::kModes) != Pin::kRevoking) continue;
    pins_[i].state.compare_exchange_strong(states[i], (states[i] & ~Pin::kModes) | Pin::kFenced,
                                           std::memory_order_seq_cst);
  }
}

void ShmDict::wait_for_pins(const Bucket* bucket) {
  constexpr int kSpins = 200;
  if (shard_count_ == 1) return;
  const std::uint32_t number = bucket == nullptr ? 0 : number_of(*bucket);
  const std::uint32_t given = control_.pins.load(std::memory_order_seq_cst);
  for (std::uint32_t i = 0; i < given; ++i) {
    if ((pins_[i].state.load(std::memory_order_seq_cst) & Pin::kModes) != Pin::kFenced) {
      revoke_bare_pins(given);
      break;
    }
  }
  for (std::uint32_t i = 0; i < given; ++i) {
    Pin& pin = pins_[i];
    for (int n = 0;; ++n) {
      const std::uint32_t seen = pin.bucket.load(std::memory_order_seq_cst);
      if (number == 0 ? seen == 0 : seen != number) break;
      if (n < kSpins) {
        relax();
      } else if (process_is_gone(pin.owner.load(std::memory_order_relaxed))) {
        break;  // it changed a number, or did not: nothing is torn
      } else {
        sched_yield();
      }
    }
  }
}

inline ShmDict::Hint& ShmDict::hint_at(const Words& words) const {
  const std::uint64_t mixed = (words.low + words.high * 0x9e3779b97f4a7c15u) * 0x9e3779b97f4a7c15u;
  return hints_[mixed >> (64 - kHintBits)];
}

inline void ShmDict::remember(const Spot& spot, Entry& entry, std::uint64_t version) {
  if (spot.key.size() > kShortKey) return;
  hint_at(spot.words) = {spot.words,
                         static_cast<std::uint32_t>(spot.key.size()),
                         number_of(*spot.bucket),
                         version,
                         &entry,
                         shdict::number_in(entry),
                         entry.expires,
                         entry.expires == 0 && entry.flags == 0};
}

// Scripts count the same things one after the other. What came four uses after this one twice is fetched for
// writing now: a line that another processor has takes longer than one use.
inline void ShmDict::expect_next(Hint& hint) {
  const auto self = static_cast<std::uint8_t>(&hint - hints_.get());
  Hint& before = hints_[recent_ & 0xff];
  recent_ = recent_ >> 8 | std::uint32_t{self} << 24;
  before.follows = before.next == self;
  before.next = self;
  expect_write(hint.follows ? hints_[hint.next].entry : hint.entry);
}

template <class Change>
[[gnu::always_inline]] inline bool ShmDict::change_hinted(Pin& pin, std::string_view key, Change change) {
  if (key.empty() || key.size() > kShortKey) return false;
  const Words words = words_of(key);
  Hint& hint = hint_at(words);
  if (hint.key.low != words.low || hint.key.high != words.high || hint.size != key.size()) return false;
  expect_next(hint);
  Pinned pinned(*this, pin, hint.bucket);
  return pinned.version() == hint.version && change(hint);
}

template <class Change>
[[gnu::noinline]] bool ShmDict::change_number(Pin& pin, const Spot& spot, Change change) {
  const Ref head = spot.bucket->head.load(std::memory_order_relaxed);
  if (head == 0) return false;
  expect_write(at<Entry>(head));
  Pinned pinned(*this, pin, number_of(*spot.bucket));
  if (!pinned || control_.torn.load(std::memory_order_relaxed) != 0) return false;  // links may lead anywhere
  Entry* entry = find(spot);
  if (entry == nullptr || entry->type != Type::number || !change(*entry)) return false;
  remember(spot, *entry, pinned.version());
  return true;
}

namespace {

// The entry's line is not read: while another processor has it, a store waits for nobody.
void put(std::uint64_t* place, shdict::Entry& entry, double number) {
  std::atomic_ref(*place).store(std::bit_cast<std::uint64_t>(number), std::memory_order_release);
  entry.used.store(1, std::memory_order_relaxed);
}

double add(std::uint64_t* place, shdict::Entry& entry, double by) {
  std::atomic_ref number(*place);
  std::uint64_t seen = number.load(std::memory_order_relaxed);
  double sum;
  do {
    sum = std::bit_cast<double>(seen) + by;
  } while (!number.compare_exchange_weak(seen, std::bit_cast<std::uint64_t>(sum), std::memory_order_acq_rel,
                                         std::memory_order_relaxed));
  entry.used.store(1, std::memory_order_relaxed);
  return sum;
}

}  // namespace

bool ShmDict::put_number(std::string_view key, double number) {
  Pin* pin = my_pin();
  if (pin == nullptr) return false;
  const auto change = [&](const Hint& hint) {
    if (!hint.plain) return false;
    put(hint.number, *hint.entry, number);
    return true;
  };
  return change_hinted(*pin, key, change) || put_in_place(spot(key), number, 0);
}

bool ShmDict::add_number(std::string_view key, double by, Now now, double& sum) {
  Pin* pin = my_pin();
  if (pin == nullptr) return false;
  const auto change = [&](const Hint& hint) {
    if (hint.expires != 0 && hint.expires <= now()) return false;
    sum = add(hint.number, *hint.entry, by);
    return true;
  };
  return change_hinted(*pin, key, change) || add_in_place(spot(key), by, now(), sum);
}

bool ShmDict::put_in_place(const Spot& spot, double number, int flags) {
  Pin* pin = my_pin();
  if (pin == nullptr) return false;
  return change_number(*pin, spot, [&](Entry& entry) {
    if (entry.expires != 0 || entry.flags != flags) return false;
    put(shdict::number_in(entry), entry, number);
    return true;
  });
}

bool ShmDict::add_in_place(const Spot& spot, double by, std::uint64_t now, double& sum) {
  Pin* pin = my_pin();
  if (pin == nullptr) return false;
  return change_number(*pin, spot, [&](Entry& entry) {
    if (expired(entry, now)) return false;
    sum = add(shdict::number_in(entry), entry, by);
    return true;
  });
}

}  // namespace mp::lua
