// Fiber: a stackful coroutine on its own small native stack (Boost.Context), and the calls by which
// code on a fiber waits. Fibers belong to the one Scheduler of their worker; control blocks are
// recycled and never freed while the worker lives, so a stale Ticket is harmless.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "fiber/timer_wheel.hpp"

namespace mp::fiber {

class Fiber;
class Scheduler;

// Thrown out of a wait when the fiber was cancelled: it unwinds the stack, and RAII releases everything.
// Caught by whoever started the work, never swallowed on the way.
struct Cancelled {};

// Why park() returned.
enum class Wake : std::uint8_t { event, timeout, cancelled };

// The right to wake one particular wait of one fiber. Copied into wait lists freely; once that wait
// is over the ticket is stale and wake() ignores it.
struct Ticket {
  Fiber* fiber = nullptr;
  std::uint32_t turn = 0;
  explicit operator bool() const { return fiber != nullptr; }
};

// Data that follows a fiber and its children: what "the current request" means. Opaque to this layer.
struct Local {
  void* request = nullptr;  // http::Request*
  void* lua = nullptr;      // lua light thread that runs on this fiber
};

// The running fiber; null on the scheduler's own stack.
Fiber* current();

namespace detail {
extern constinit thread_local Local* running_local;
[[gnu::cold]] Local& no_local();
}  // namespace detail
// The local data of the running fiber; outside of any fiber, of the scheduler, or of the process when there
// is none.
inline Local& local() {
  return detail::running_local != nullptr ? *detail::running_local : detail::no_local();
}

// A ticket for the next park() of the running fiber.
Ticket ticket();

// Waits until the ticket is woken, the deadline (absolute, monotonic milliseconds) passes, or the
// fiber is cancelled. Must be called on a fiber, with no LuaJIT trace running.
Wake park(Msec deadline = kNever);

// As park(), but throws Cancelled. True when woken, false when the deadline passed.
bool wait(Msec deadline = kNever);

// Puts the owner of the ticket into the ready queue, once; false when the ticket is stale.
bool wake(Ticket ticket);

// Waits for a turn behind everything that is ready now.
void yield();

// The same, where something else is to run in this pass: what each of them does next, all do one after the
// other then, with the code for it, and the kernel's, in the caches. The last of them goes on at once.
void line_up();

// Waits for a duration; throws Cancelled.
void sleep_for(Msec duration);

// Asks `fiber` to stop: its present or next wait ends with Wake::cancelled, and so does every later one
// until clear_cancel(). Nothing happens to a fiber that is shielded until the shield is gone.
void cancel(Fiber& fiber);
bool cancelled(const Fiber& fiber);
void clear_cancel(Fiber& fiber);

// While one lives, waits of the running fiber are not ended by cancellation.
class CancelShield {
 public:
  CancelShield();
  ~CancelShield();
  CancelShield(const CancelShield&) = delete;
  CancelShield& operator=(const CancelShield&) = delete;

 private:
  Fiber* fiber_;
};

// What a fiber runs: moved onto the new stack, destroyed there when it returns.
class Task {
 public:
  virtual ~Task() = default;
  virtual void run() = 0;
};

namespace detail {
// Reserves `size` bytes on a fresh fiber's stack for its task.
void* place_task(Fiber*& fiber, std::size_t size, std::size_t align);
void launch(Fiber* fiber, Task* task, bool now);
void launch_ahead(Fiber* fiber, Task* task);
}  // namespace detail

template <class F>
Fiber* start(F&& function, bool now) {
  struct Call final : Task {
    explicit Call(F&& f) : function(std::forward<F>(f)) {}
    void run() override { function(); }
    std::decay_t<F> function;
  };
  Fiber* fiber = nullptr;
  void* place = detail::place_task(fiber, sizeof(Call), alignof(Call));
  detail::launch(fiber, new (place) Call(std::forward<F>(function)), now);
  return fiber;
}

// Starts a fiber that runs `function` when its turn in the ready queue comes. Its Local is copied from the
// caller's. The pointer is good until the function returns.
template <class F>
Fiber* spawn(F&& function) {
  return start(std::forward<F>(function), false);
}

// As spawn(), but no fiber is taken before the turn comes: many that become ready at once and end without
// waiting run one after the other on the same warm stack. Local is that of the scheduler.
void spawn_later(void (*function)(void*), void* argument);

// Runs `function` on a new fiber at once, until it first waits or ends; then the caller goes on.
template <class F>
Fiber* spawn_now(F&& function) {
  return start(std::forward<F>(function), true);
}

// As spawn_now(), but the caller goes on only behind everything that was ready when it called, and ahead of
// whatever the new fiber makes ready. Throws Cancelled.
template <class F>
void spawn_ahead(F&& function) {
  struct Call final : Task {
    explicit Call(F&& f) : function(std::forward<F>(f)) {}
    void run() override { function(); }
    std::decay_t<F> function;
  };
  Fiber* fiber = nullptr;
  void* place = detail::place_task(fiber, sizeof(Call), alignof(Call));
  detail::launch_ahead(fiber, new (place) Call(std::forward<F>(function)));
}

// Wakes every waiter when something happened. Waiters may come and go in any order.
class Event {
 public:
  // Waits for the next notify_all(); false on timeout; throws Cancelled.
  bool wait(Msec deadline = kNever);
  void notify_all();

 private:
  struct Waiter {
    Ticket ticket;
    Waiter* next;
  };
  Waiter* waiters_ = nullptr;
};

// Runs children in parallel and waits for all of them, whatever happens: when the waiting fiber is cancelled
// the children are cancelled too, and still awaited, so that what they refer to on this stack stays valid.
class Group {
 public:
  Group() = default;
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  ~Group();

  template <class F>
  void spawn(F&& function);

  // Waits for every child; throws Cancelled after they have all ended when this fiber was cancelled.
  void wait();

 private:
  struct Child {
    Group* group;
    Fiber* fiber = nullptr;
    Child* next = nullptr;
  };
  void ended(Child& child);
  void cancel_all();

  Child* children_ = nullptr;
  Event changed_;
};

template <class F>
void Group::spawn(F&& function) {
  // The child record lives on the child's own stack, for exactly as long as the child runs.
  Child** link = &children_;
  start(
      [this, link, function = std::forward<F>(function)]() mutable {
        struct Entry {
          Child child;
          ~Entry() { child.group->ended(child); }
        } entry{{this, current(), *link}};
        *link = &entry.child;
        try {
          function();
        } catch (const Cancelled&) {
        }
      },
      true);
}

}  // namespace mp::fiber
