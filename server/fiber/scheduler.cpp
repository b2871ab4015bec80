#include "fiber/scheduler.hpp"

#include <algorithm>
#include <cassert>
#include <cstdlib>

#include <boost/context/detail/fcontext.hpp>
#include <cxxabi.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/rarely.hpp"
#include "base/sanitizer.hpp"

#if defined(MP_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace mp::fiber {

namespace context = boost::context::detail;

namespace {

thread_local Local local_without_scheduler;  // of the master, which runs configuration code on no fiber

}  // namespace

namespace detail {
constinit thread_local Scheduler* the_scheduler = nullptr;
constinit thread_local Local* running_local = nullptr;
Local& no_local() {
  return local_without_scheduler;
}
}  // namespace detail

using detail::running_local;
using detail::the_scheduler;

namespace {

// The C++ runtime keeps its stack of exceptions being handled per thread; each fiber needs its own, because
// a fiber may wait inside a catch block.
struct ExceptionState {
  void* caught = nullptr;
  unsigned int uncaught = 0;
};

// Of this thread; set while it has a scheduler.
constinit thread_local ExceptionState* runtime_exceptions = nullptr;

Msec monotonic_msec() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<Msec>(t.tv_sec) * 1000 + static_cast<Msec>(t.tv_nsec) / 1000000;
}

}  // namespace

enum class State : std::uint8_t { fresh, ready, running, parked };

class Fiber {
 public:
  // A timer that was armed for a far deadline stays so when the wait ends: the next wait mostly has a later
  // one, and the timer finds out by itself that it was too early.
  struct Deadline final : Timer {
    Fiber* fiber = nullptr;
    Msec until = kNever;  // of the present wait
    void expect(Scheduler& scheduler, Msec at);
    void wait_ended();
    void expired() override;
  };

  context::fcontext_t context = nullptr;  // where it goes on, while it does not run
  context::fcontext_t resumer = nullptr;  // where to go when it parks
  Fiber* resumed_by = nullptr;
  Stack stack;
  Task* task = nullptr;
  std::uint32_t turn = 0;
  State state = State::fresh;
  Wake reason = Wake::event;
  bool woken = false;  // the ticket was used before the fiber came to park()
  bool cancel_asked = false;
  int shields = 0;
  Deadline deadline;
  Local local;
  ExceptionState exceptions;
#if defined(MP_ASAN)
  void* fake_stack = nullptr;
  const void* resumer_bottom = nullptr;
  std::size_t resumer_size = 0;
#endif
};

namespace {

// Leaves the running fiber for whoever resumed it. `dying`: it will not come back.
void switch_out(Fiber& f, [[maybe_unused]] bool dying) {
#if defined(MP_ASAN)
  __sanitizer_start_switch_fiber(dying ? nullptr : &f.fake_stack, f.resumer_bottom, f.resumer_size);
#endif
  const context::transfer_t back = context::jump_fcontext(f.resumer, &f);
#if defined(MP_ASAN)
  __sanitizer_finish_switch_fiber(f.fake_stack, &f.resumer_bottom, &f.resumer_size);
#endif
  f.resumer = back.fctx;
}

void run_fiber(context::transfer_t from) {
  Fiber& f = *static_cast<Fiber*>(from.data);
#if defined(MP_ASAN)
  __sanitizer_finish_switch_fiber(nullptr, &f.resumer_bottom, &f.resumer_size);
#endif
  f.resumer = from.fctx;
  try {
    f.task->run();
  } catch (const Cancelled&) {
    // The end of a cancelled fiber: everything it owned has been unwound.
  }
  f.task->~Task();
  f.task = nullptr;
  switch_out(f, true);
  std::abort();
}

// Deadlines this far away are those of peers that do not answer: none of them comes, as a rule.
constexpr Msec kFar = 4096;

}  // namespace

void Fiber::Deadline::expect(Scheduler& scheduler, Msec at) {
  const Msec now = scheduler.now();
  until = std::max(at, now);
  if (until - now < kFar || !armed() || deadline() > until) scheduler.arm(*this, until);
}

void Fiber::Deadline::wait_ended() {
  // Of the near ones, those of one millisecond fire in the order they were armed.
  if (until < the_scheduler->now() + kFar) disarm();
  until = kNever;
}

void Fiber::Deadline::expired() {
  if (until == kNever || fiber->state != State::parked) return;
  if (until > the_scheduler->now()) return the_scheduler->arm(*this, until);
  if (wake({fiber, fiber->turn})) fiber->reason = Wake::timeout;
}

// ---- scheduler

Scheduler::Scheduler(Options options)
    : options_(options),
      now_(monotonic_msec()),
      timers_(now_),
      stacks_(options.stack_size),
      events_(options.max_events) {
  assert(the_scheduler == nullptr);
  // As many can become ready at once.
  ready_.reserve(static_cast<std::size_t>(options.max_events));
  ready_pass_.reserve(static_cast<std::size_t>(options.max_events));
  if (options.max_events > 0) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) throw std::bad_alloc();
  }
  the_scheduler = this;
  runtime_exceptions = reinterpret_cast<ExceptionState*>(abi::__cxa_get_globals());
  running_local = &own_local_;
}

Scheduler::~Scheduler() {
  if (on_pass_end != nullptr) on_pass_end();
  if (resting_ != nullptr) {
    ++live_;  // it ends like any other
    start_now({});
  }
  if (epoll_ >= 0) close(epoll_);
  the_scheduler = nullptr;
  running_local = nullptr;
}

void Scheduler::refresh_clock() {
  const Msec now = monotonic_msec();
  if (now == std::exchange(now_, now)) return;
  if (on_tick != nullptr) on_tick(on_tick_data);
}

Fiber* Scheduler::take_fiber() {
  const Stack stack = stacks_.take();  // first: it may throw
  Fiber* f;
  if (free_.empty()) {
    f = new_fiber();
  } else {
    f = free_.back();
    free_.pop_back();
  }
  f->stack = stack;
  f->state = State::fresh;
  f->woken = f->cancel_asked = false;
  f->shields = 0;
  f->exceptions = {};
  f->local = running_ != nullptr ? running_->local : own_local_;
  return f;
}

Fiber* Scheduler::new_fiber() {
  all_.push_back(std::make_unique<Fiber>());
  Fiber* const f = all_.back().get();
  f->deadline.fiber = f;
  return f;
}

void Scheduler::enqueue(Fiber& fiber, Wake reason) {
  fiber.state = State::ready;
  fiber.reason = reason;
  add_to(ready_, Ready{&fiber, nullptr, nullptr});
}

void Scheduler::resume(Fiber& f) {
  f.state = State::running;
  f.resumed_by = running_;
  running_ = &f;
  running_local = &f.local;
  ExceptionState* exceptions = runtime_exceptions;
  const ExceptionState outer = std::exchange(*exceptions, f.exceptions);
#if defined(MP_ASAN)
  void* fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&fake_stack, f.stack.base, f.stack.size);
#endif
  const context::transfer_t back = context::jump_fcontext(f.context, &f);
#if defined(MP_ASAN)
  __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
  f.context = back.fctx;
  f.exceptions = std::exchange(*exceptions, outer);
  running_ = f.resumed_by;
  running_local = running_ != nullptr ? &running_->local : &own_local_;
  if (f.task == nullptr) {  // it has ended
    ++f.turn;
    stacks_.give_back(std::exchange(f.stack, {}));
    add_to(free_, &f);
    --live_;
  }
}

// Runs functions that have become ready, one after the other. When the last of a pass has ended without a
// wait, the fiber rests: the next pass goes on with it, without another stack.
struct Scheduler::Runner final : Task {
  explicit Runner(const Ready& first) : ready(first) {}
  void run() override {
    do {
      ready.function(ready.argument);
    } while (the_scheduler->take_next(ready) || the_scheduler->rest(*this));
  }
  Ready ready;
  Fiber* fiber = nullptr;  // while it rests
};

void Scheduler::start_now(const Ready& ready) {
  if (resting_ != nullptr) [[likely]] {
    Runner& runner = *std::exchange(resting_, nullptr);
    runner.ready = ready;
    begin_anew(*runner.fiber);
    return resume(*runner.fiber);
  }
  Fiber* fiber = nullptr;
  void* place = detail::place_task(fiber, sizeof(Runner), alignof(Runner));
  --live_;  // it was counted when it was asked for
  detail::launch(fiber, new (place) Runner(ready), true);
}

// What the last function has left on its fiber is not for the next one.
inline void Scheduler::begin_anew(Fiber& f) {
  f.woken = f.cancel_asked = false;
  f.shields = 0;
  f.local = own_local_;
}

// The function that the running fiber was for has ended. When another function is next in the pass, the fiber
// takes it too, as if it were a new one: no switch, no other stack.
bool Scheduler::take_next(Ready& next) {
  Fiber& f = *running_;
  if (pass_at_ >= ready_pass_.size() || ready_pass_[pass_at_].fiber != nullptr || f.resumed_by != nullptr) {
    return false;
  }
  next = ready_pass_[pass_at_++];
  --live_;  // both were counted
  ++f.turn;
  begin_anew(f);
  return true;
}

// Until start_now() has a function for it. False: the fiber is to end, as another one rests already or the
// scheduler ends.
bool Scheduler::rest(Runner& runner) {
  Fiber& f = *running_;
  if (resting_ != nullptr || f.resumed_by != nullptr) return false;
  --live_;
  ++f.turn;
  runner.fiber = &f;
  resting_ = &runner;
  switch_out(f, false);
  return runner.ready.function != nullptr;
}

void Scheduler::run_ready() {
  ready_pass_.swap(ready_);
  for (pass_at_ = 0; pass_at_ < ready_pass_.size();) {
    const Ready ready = ready_pass_[pass_at_++];
    if (ready.fiber != nullptr) {
      resume(*ready.fiber);
    } else {
      try {
        start_now(ready);
      } catch (const std::bad_alloc&) {
        ready_.push_back(ready);  // no stack to be had: when another fiber has given one back
      }
    }
  }
  ready_pass_.clear();
}

void Scheduler::turn(Msec wait_limit) {
  poll(wait_limit);
  timers_.advance(now_);
  // Fibers that take turns among themselves need no system call in between, but may not keep the sockets
  // waiting.
  constexpr int kPasses = 32;
  for (int pass = 0; pass < kPasses && !ready_.empty(); ++pass) run_ready();
}

void Scheduler::run(bool until_idle) {
  while (!stopping_) {
    if (until_idle && live_ == 0) return;
    turn();
  }
}

void Scheduler::cancel_all() {
  for (const auto& fiber : all_) {
    if (fiber->task != nullptr) cancel(*fiber);
  }
}

bool Scheduler::is_stack_overflow(const void* address) const {
  return running_ != nullptr && StackPool::in_guard(running_->stack, address);
}

// ---- calls on fibers

Fiber* current() {
  return the_scheduler != nullptr ? the_scheduler->running() : nullptr;
}

Ticket ticket() {
  Fiber* f = current();
  assert(f != nullptr);
  return {f, f->turn};
}

Wake park(Msec deadline) {
  Scheduler& s = *the_scheduler;
  Fiber& f = *s.running_;
  if (f.cancel_asked && f.shields == 0) {
    ++f.turn;
    f.woken = false;
    return Wake::cancelled;
  }
  if (f.woken) {
    f.woken = false;
    return Wake::event;
  }
  if (deadline != kNever) f.deadline.expect(s, deadline);
  f.state = State::parked;
  switch_out(f, false);
  if (deadline != kNever) f.deadline.wait_ended();
  return f.reason;
}

bool wait(Msec deadline) {
  switch (park(deadline)) {
    case Wake::event:
      return true;
    case Wake::timeout:
      return false;
    case Wake::cancelled:
      break;
  }
  throw Cancelled{};
}

bool wake(Ticket t) {
  if (t.fiber == nullptr || t.fiber->turn != t.turn) return false;
  Fiber& f = *t.fiber;
  ++f.turn;
  if (f.state == State::parked) {
    the_scheduler->enqueue(f, Wake::event);
  } else {
    f.woken = true;
  }
  return true;
}

void spawn_later(void (*function)(void*), void* argument) {
  Scheduler& s = *the_scheduler;
  ++s.live_;
  add_to(s.ready_, Scheduler::Ready{nullptr, function, argument});
}

void yield() {
  wake(ticket());
  Scheduler& s = *the_scheduler;
  Fiber& f = *s.running_;
  if (f.cancel_asked && f.shields == 0) {
    f.woken = false;
    throw Cancelled{};
  }
  f.woken = false;
  s.enqueue(f, Wake::event);
  switch_out(f, false);
  if (f.cancel_asked && f.shields == 0) throw Cancelled{};
}

void line_up() {
  if (the_scheduler->others_ready()) yield();
}

void sleep_for(Msec duration) {
  if (duration == 0) return yield();
  // One more: clocks are read in whole milliseconds, rounded down, and by all of them the time has passed.
  const Msec until = now() + duration + 1;
  while (now() < until) wait(until);
}

void cancel(Fiber& f) {
  f.cancel_asked = true;
  if (f.state == State::parked && f.shields == 0) {
    ++f.turn;
    the_scheduler->enqueue(f, Wake::cancelled);
  }
}

bool cancelled(const Fiber& f) {
  return f.cancel_asked && f.shields == 0;
}

void clear_cancel(Fiber& f) {
  f.cancel_asked = false;
}

CancelShield::CancelShield() : fiber_(current()) {
  if (fiber_ != nullptr) ++fiber_->shields;
}

CancelShield::~CancelShield() {
  if (fiber_ != nullptr) --fiber_->shields;
}

namespace detail {

void* place_task(Fiber*& fiber, std::size_t size, std::size_t align) {
  fiber = the_scheduler->take_fiber();
#if defined(MP_ASAN)
  // The last frames of the fiber that had this stack before were left, not returned from: their red zones
  // stay.
  __asan_unpoison_memory_region(fiber->stack.base, fiber->stack.size);
#endif
  auto top = reinterpret_cast<std::uintptr_t>(fiber->stack.top()) - size;
  return reinterpret_cast<void*>(top & ~(align - 1));
}

void launch(Fiber* fiber, Task* task, bool now) {
  Scheduler& s = *the_scheduler;
  fiber->task = task;
  char* top = reinterpret_cast<char*>(reinterpret_cast<std::uintptr_t>(task) & ~std::uintptr_t{15});
  fiber->context = context::make_fcontext(top, top - fiber->stack.base, run_fiber);
  ++s.live_;
  if (now) {
    s.resume(*fiber);
  } else {
    s.enqueue(*fiber, Wake::event);
  }
}

// The caller takes its place in the ready queue before the new fiber runs on top of it, and gives way
// afterwards.
void launch_ahead(Fiber* fiber, Task* task) {
  Scheduler& s = *the_scheduler;
  Fiber& caller = *s.running_;
  s.enqueue(caller, Wake::event);
  launch(fiber, task, true);
  switch_out(caller, false);
  if (caller.cancel_asked && caller.shields == 0) throw Cancelled{};
}

}  // namespace detail

}  // namespace mp::fiber
