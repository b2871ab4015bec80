// Scheduler: the event loop of one worker. It owns the epoll instance, the timers, the ready queue (FIFO,
// part of the contract) and all fibers. One per process, reachable as here() from anything that runs on the
// worker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <sys/epoll.h>

#include "fiber/fiber.hpp"
#include "fiber/stack.hpp"
#include "fiber/timer_wheel.hpp"

namespace mp::fiber {

// One descriptor in the epoll set, registered once, edge-triggered, for its whole life.
// Readiness is remembered in flags; at most one fiber waits in each direction.
class Watch {
 public:
  Watch() = default;
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch() { remove(); }

  // Registers `fd` (not owned). False with errno set when epoll refuses.
  bool add(int fd, std::uint32_t events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
  void remove();  // must come before the descriptor is closed
  void forget();  // the same, when the descriptor is closed at once: the kernel drops it from the set
  int fd() const { return fd_; }

  bool readable = false;  // a read may succeed: no need to wait
  bool writable = false;
  bool hangup = false;  // the peer has closed, or shut down its sending side

  Ticket reader;
  Ticket writer;

 protected:
  // Called in the event pass when something became readable or the peer hung up, and no fiber waits to read.
  // Must not run fibers nor destroy watches: it spawns or wakes.
  virtual void on_ready() {}

 private:
  friend class Scheduler;
  void deliver(std::uint32_t events);  // what the kernel says
  int fd_ = -1;
};

class Scheduler {
 public:
  struct Options {
    std::size_t stack_size = 256 * 1024;  // bytes of address space; only touched pages take memory
    int max_events = 512;
  };
  explicit Scheduler(Options options);
  Scheduler() : Scheduler(Options{}) {}
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Runs until stop() is called or, with `until_idle`, until no fiber and no ready work is left.
  void run(bool until_idle = false);
  void stop() { stopping_ = true; }

  // Asks every fiber to stop, as cancel() does.
  void cancel_all();

  // One pass: waits for events (at most until `wait_limit` from now), fires timers, runs what is ready.
  void turn(Msec wait_limit = kNever);

  Msec now() const { return now_; }  // monotonic milliseconds, refreshed once per pass
  void refresh_clock();
  void arm(Timer& timer, Msec deadline) { timers_.arm(timer, deadline); }
  std::size_t fibers() const { return live_; }  // started and not ended
  int epoll_fd() const { return epoll_; }
  Fiber* running() const { return running_; }
  bool others_ready() const { return pass_at_ < ready_pass_.size(); }  // their turn comes in this pass

  // For a SIGSEGV handler: did the running fiber run into the guard page below its stack?
  bool is_stack_overflow(const void* address) const;

  // Called when the clock has moved: the worker updates its cached time strings here.
  void (*on_tick)(void*) = nullptr;
  void* on_tick_data = nullptr;

  // Called before the worker waits for events: what was kept for the requests of one pass goes. One user; it
  // takes itself out.
  void (*on_pass_end)() = nullptr;

 private:
  friend void* detail::place_task(Fiber*&, std::size_t, std::size_t);
  friend void detail::launch(Fiber*, Task*, bool);
  friend void detail::launch_ahead(Fiber*, Task*);
  friend void spawn_later(void (*)(void*), void*);
  friend Wake park(Msec);
  friend bool wake(Ticket);
  friend void yield();
  friend void cancel(Fiber&);
  friend class Watch;

  // What waits for its turn: a fiber, or a function that gets one then.
  struct Ready {
    Fiber* fiber;
    void (*function)(void*);
    void* argument;
  };

  struct Runner;
  Fiber* take_fiber();
  [[gnu::cold]] Fiber* new_fiber();
  void resume(Fiber& fiber);
  void start_now(const Ready& ready);
  void begin_anew(Fiber& fiber);
  bool take_next(Ready& next);
  bool rest(Runner& runner);
  void enqueue(Fiber& fiber, Wake reason);
  void poll(Msec limit);
  [[gnu::cold]] void poll_without_epoll(int timeout);
  [[gnu::cold]] void trim_pools();
  void run_ready();

  Options options_;
  int epoll_ = -1;
  Msec now_;
  TimerWheel timers_;
  StackPool stacks_;
  std::vector<std::unique_ptr<Fiber>> all_;
  std::vector<Fiber*> free_;
  std::vector<Ready> ready_;  // filled while ready_pass_ is being run
  std::vector<Ready> ready_pass_;
  std::size_t pass_at_ = 0;  // what comes next in it
  std::vector<epoll_event> events_;
  // By descriptor. Events name a descriptor and the generation they were asked for, not an address: what
  // another process keeps alive in the epoll set past its close (between fork and exec) reaches nobody.
  struct Watched {
    Watch* watch = nullptr;
    std::uint32_t generation = 0;
  };
  std::vector<Watched> watched_;
  Fiber* running_ = nullptr;
  Runner* resting_ = nullptr;  // waits for the next function that becomes ready
  Local own_local_;
  std::size_t live_ = 0;
  Msec next_trim_ = 0;
  bool stopping_ = false;
};

namespace detail {
extern constinit thread_local Scheduler* the_scheduler;
}
// The scheduler of this process; null before one was made. Other threads of the process (ThreadPool) have
// none, so that nothing there takes the worker's current request for its own.
inline Scheduler* here() {
  return detail::the_scheduler;
}

inline Msec now() {
  return here()->now();
}

}  // namespace mp::fiber
