// LightThread and Run: Lua code as fibers.
//
// A light thread is a fiber that owns one Lua coroutine. A Run is one execution of a hook, timer or callback:
// its entry thread, which runs on the fiber that calls it, and the user threads that it spawns, each on a
// fiber of its own. It ends when all its threads have ended. Its Vm keeps the object for the next one, with
// the coroutine of the entry thread: most hooks return without a wait, and leave nothing to be made anew.
//
// A thread ends by returning, by an error, or by leave(): the latter unwinds nothing and cannot be caught by
// pcall; it drops the coroutine and goes on where the fiber entered Lua. ngx.exit and its like, and
// cancellation, end threads this way. Lua C functions that wait are therefore registered through waits<>, see
// api.hpp.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <lua.hpp>

#include "fiber/fiber.hpp"
#include "lua/context.hpp"
#include "lua/sched/traceback.hpp"
#include "lua/vm/vm.hpp"

namespace mp::http {
class Request;
}

namespace mp::lua {

class Run;

struct LightThread {
  enum class State : std::uint8_t {
    running,  // or waiting for something
    zombie,   // ended; its parent has not waited for it yet
    dead,
  };

  static constexpr int kLeft = -1;  // a status: it ended by leave()

  LightThread() {}  // says nothing of way_out: that is filled when the fiber enters Lua
  LightThread(Run* its_run, Coroutine its_coroutine) : run(its_run), coroutine(its_coroutine) {}
  bool ended_well() const { return status == 0; }
  bool failed() const { return status != 0 && status != kLeft; }

  Run* run = nullptr;
  Coroutine coroutine;
  fiber::Fiber* fiber = nullptr;
  LightThread* parent = nullptr;  // null for the entry thread
  LightThread* next = nullptr;    // in the run's list
  lua_State* spawner = nullptr;   // the coroutine that spawned it: it alone may wait for it
  // The coroutine that waits: its own or one that runs inside; null before the first wait.
  lua_State* active = nullptr;
  int pending_subrequests = 0;  // it waits for so many: it cannot be killed, nor the run be ended
  State state = State::running;
  bool killed = false;     // it is to end at its present wait, whatever that brings
  bool shared = false;     // Lua code has seen the coroutine: it is not recycled
  bool quiet = false;      // its errors are not logged
  fiber::Event ended;      // notified when it ended
  int status = LUA_YIELD;  // how it ended: kLeft, or as lua_resume says
  void* way_out[5];        // where leave() goes
};

// The light thread that runs now; null outside of Lua.
inline LightThread* self() {
  return static_cast<LightThread*>(fiber::local().lua);
}

// Ends the running light thread at once. Nothing with a destructor may be alive between the entry into Lua
// and here.
[[noreturn]] void leave();

class Run {
 public:
  // How a run as a whole ended.
  enum class End : std::uint8_t {
    returned,   // every thread has ended, the entry thread by returning
    failed,     // the entry thread ended with an error, which was logged
    exited,     // a thread asked for it: exit_status, or a redirect
    cancelled,  // the fiber was cancelled: the caller throws Cancelled on
  };
  enum class Exit : std::uint8_t { none, status, exec, redirect_uri };

  // For Vm: one that has not begun, with the coroutine of its entry thread.
  Run(Vm& the_vm, Coroutine coroutine) : vm(the_vm), entry_(this, coroutine) {}
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  // The coroutine of the entry thread. Push a function and its arguments, then call go().
  lua_State* entry() { return entry_.coroutine.L; }

  // Runs it and every thread it spawns to their end, once. On return the results (LUA_MULTRET) are on the
  // stack of entry(). Parks. Errors are logged as `lua entry thread aborted: ...`.
  End go(int arguments);

  // As go(), but errors are not logged: error() has the text, for hooks with a wording of their own.
  End go_quietly(int arguments) {
    entry_.quiet = true;
    return go(arguments);
  }
  // Why the entry thread has failed, with its stack.
  std::string error();

  Vm& vm;
  // Of the present use.
  http::Request* request = nullptr;
  Context context = kInit;

  // ---- for the API
  // Ends all threads of the run: never comes back to the calling thread. Filters and the like, where ngx.exit
  // does not end the code, use note_exit() and go on.
  [[noreturn]] void exit(Exit kind, int status);
  void note_exit(Exit kind, int status) { as_new_ = false, exit_ = kind, exit_status_ = status; }
  Exit exit_kind() const { return exit_; }
  int exit_status() const { return exit_status_; }
  bool exit_possible() const;  // false while a thread waits for subrequests

  // Starts a user thread with function and arguments on top of `L`, which are popped; runs it until it first
  // waits. Leaves the coroutine on top of `L`.
  void spawn(lua_State* L, int arguments);
  // The thread with that coroutine: the entry thread, a user thread of this run, or one whose state is `dead`
  // for any user thread that is gone. Null for other coroutines.
  LightThread* find(lua_State* coroutine);
  // Waits until some thread of the run has ended. Parks.
  void wait_for_child() { changed_.wait(); }
  // Ends a waiting user thread from outside. Parks until it is gone.
  void kill(LightThread& thread);
  // Forgets a thread that has ended.
  void release(LightThread& thread);

  LightThread& entry_thread() { return entry_; }
  // Lua code has seen the coroutine of `thread`, which is one of this run.
  void share(LightThread& thread) {
    as_new_ = false;
    thread.shared = true;
  }
  // The coroutines an error went through: coroutine.wrap() hands it on to its caller.
  ErrorTrail& trail();
  LightThread* threads() { return threads_; }

  // ---- the client going away
  // Takes the function on top of `L` as the callback of ngx.on_abort; false when there is one already.
  bool set_on_abort(lua_State* L);
  bool has_on_abort() const { return on_abort_set_; }
  // Starts the callback as a user thread of the entry thread, when its turn comes; false when there is none.
  // True as well when it was started before. Does not park.
  bool start_on_abort();
  // Cancels the run from outside: go() returns End::cancelled. Does not park.
  void cancel() { fiber::cancel(*entry_.fiber); }

 private:
  friend class RunScope;
  void begin(http::Request* the_request, Context the_context);
  void finish();
  void start_afresh();
  void resume(LightThread& thread, int arguments);
  void go_on(LightThread& thread);
  bool take_turn(LightThread& thread);
  void thread_ended(LightThread& thread);
  void report(LightThread& thread);
  LightThread* prepare(lua_State* L, int arguments, LightThread& parent);
  void run_user_thread(LightThread& thread, int arguments);
  End wind_up();
  void end_others();
  void drop_threads();

  LightThread entry_;
  fiber::Local* local_ = nullptr;    // of the fiber that runs this
  fiber::Local outer_;               // what ran on it before: a filter inside of ngx.say has the handler here
  LightThread* threads_ = nullptr;   // user threads, newest first
  LightThread* on_abort_ = nullptr;  // not started yet
  fiber::Fiber* entry_cancelled_by_us_ = nullptr;
  std::unique_ptr<ErrorTrail> trail_;  // made when a coroutine has failed
  fiber::Event changed_;               // a thread has ended, or an exit was asked for
  int alive_ = 0;                      // user threads that have not ended
  int exit_status_ = 0;
  Exit exit_ = Exit::none;
  bool on_abort_set_ = false;
  bool as_new_ = true;  // nothing has happened but calls and returns: it can begin again as it is
};

// A Run of `vm`, from its begin to its end. `request` may be null (init_by_lua); it becomes the current one
// of the fiber for this time.
class RunScope {
 public:
  RunScope(Vm& vm, http::Request* request, Context context);
  ~RunScope() { run_.finish(); }
  RunScope(const RunScope&) = delete;
  RunScope& operator=(const RunScope&) = delete;

  Run& operator*() const { return run_; }
  Run* operator->() const { return &run_; }

 private:
  Run& run_;
};

}  // namespace mp::lua
