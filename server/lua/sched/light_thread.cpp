#include "lua/sched/light_thread.hpp"

#include <new>
#include <string_view>
#include <utility>

#include <fmt/core.h>

#include "http/request.hpp"
#include "lua/sched/traceback.hpp"

namespace mp::lua {

namespace {

// Stands for every user thread that is gone: exdata2 of its coroutine, parent of its children.
struct DeadThread : LightThread {
  DeadThread() { state = State::dead; }
} dead_thread;

const char* error_kind(int status) {
  switch (status) {
    case LUA_ERRRUN:
      return "runtime error";
    case LUA_ERRSYNTAX:
      return "syntax error";
    case LUA_ERRMEM:
      return "memory allocation error";
    case LUA_ERRERR:
      return "error handler error";
    default:
      return "unknown error";
  }
}

// User threads that have ended, to be used again: a list through `next`. Each has a negative number for ever,
// under which its coroutine is kept in the registry: luaL_ref() has the others.
constinit thread_local LightThread* spare_threads = nullptr;
constinit thread_local int threads_made = 0;

LightThread* make_thread() {
  if (spare_threads != nullptr) return std::exchange(spare_threads, spare_threads->next);
  auto* thread = new LightThread;
  thread->coroutine.anchor = -++threads_made;
  return thread;
}

void drop_thread(LightThread& thread) {
  const int anchor = thread.coroutine.anchor;
  thread.~LightThread();
  new (&thread) LightThread;
  thread.coroutine.anchor = anchor;
  thread.next = std::exchange(spare_threads, &thread);
}

}  // namespace

void leave() {
  LightThread* thread = self();
  thread->status = LightThread::kLeft;
  __builtin_longjmp(thread->way_out, 1);
}

// Neither of the two is inline: one request runs several hooks, and they shall not each have a copy.
RunScope::RunScope(Vm& vm, http::Request* request, Context context) : run_(vm.take_run()) {
  run_.begin(request, context);
}

inline void Run::begin(http::Request* the_request, Context the_context) {
  request = the_request;
  context = the_context;
  entry_.fiber = fiber::current();
  local_ = &fiber::local();
  outer_ = std::exchange(*local_, {the_request, &entry_});
  lua_setexdata(entry(), the_request);
}

void Run::finish() {
  if (!as_new_ || !entry_.ended_well() || threads_ != nullptr) [[unlikely]]
    return start_afresh();
  *local_ = outer_;
  if (lua_gettop(entry()) != 0) lua_settop(entry(), 0);
  entry_.active = nullptr;
  entry_.quiet = false;
  vm.keep(*this);
}

// Ends what is left of it, and makes a new one of it. The coroutine stays, unless Lua code may still refer to
// it.
void Run::start_afresh() {
  drop_threads();
  *local_ = outer_;
  Vm& its_vm = vm;
  const Coroutine coroutine = entry_.coroutine;
  if (entry_.shared) {
    lua_setexdata2(coroutine.L, &dead_thread);
    return its_vm.let_go(*this);
  }
  if (entry_.ended_well()) {
    lua_settop(coroutine.L, 0);
  } else {
    lua_resetthread(its_vm.state(), coroutine.L);
  }
  this->~Run();
  its_vm.keep(*new (this) Run(its_vm, coroutine));
}

void Run::drop_threads() {
  end_others();
  while (threads_ != nullptr) release(*threads_);
  if (on_abort_ != nullptr) release(*on_abort_);
}

// Runs the coroutine to its end, on the fiber of the thread. Its way out leads into the caller: each function
// that can be jumped to saves all registers, so this one is none.
inline void Run::resume(LightThread& thread, int arguments) {
  thread.status = lua_resume(thread.coroutine.L, arguments);
  if (thread.status == LUA_YIELD) [[unlikely]]
    go_on(thread);
}

// It has yielded.
[[gnu::cold]] void Run::go_on(LightThread& thread) {
  lua_State* co = thread.coroutine.L;
  do {
    lua_settop(co, 0);
    if (!take_turn(thread)) {
      thread.status = LightThread::kLeft;
      return;
    }
    thread.status = lua_resume(co, 0);
  } while (thread.status == LUA_YIELD);
}

// A yield at the root: everything that is ready goes first. False: the thread is to end.
bool Run::take_turn(LightThread& thread) {
  if (thread.fiber == nullptr) return true;
  thread.active = thread.coroutine.L;
  try {
    fiber::yield();
  } catch (const fiber::Cancelled&) {
    return false;
  }
  return !thread.killed;
}

namespace {

// Leaves the error on the stack of a failed thread: what ngx.thread.wait returns behind `false`. An error
// that error() raised comes after its text without the place, as scripts have always got it.
void keep_error(lua_State* co) {
  const int top = lua_gettop(co);
  if (top == 2 && lua_type(co, 1) == LUA_TSTRING && lua_type(co, 2) == LUA_TSTRING) {
    const std::string_view bare = lua_tostring(co, 1);
    if (std::string_view(lua_tostring(co, 2)).ends_with(bare)) return;
  }
  lua_insert(co, 1);
  lua_settop(co, 1);
}

}  // namespace

void Run::thread_ended(LightThread& thread) {
  if (thread.failed() && !thread.quiet) report(thread);
  if (&thread != &entry_) {
    --alive_;
    const bool wanted = thread.status != LightThread::kLeft && exit_ == Exit::none &&
                        thread.parent->state == LightThread::State::running;
    thread.state = wanted ? LightThread::State::zombie : LightThread::State::dead;
    if (thread.failed()) keep_error(thread.coroutine.L);
  } else {
    thread.state = LightThread::State::dead;
  }
  for (LightThread *child = threads_, *next; child != nullptr; child = next) {
    next = child->next;
    if (child->parent == &thread && child->state == LightThread::State::zombie) release(*child);
  }
  if (&thread != &entry_) thread.fiber = nullptr;
  thread.ended.notify_all();
  changed_.notify_all();
  // Who kills a thread releases it; nobody else will ask for this one again.
  if (&thread != &entry_ && thread.state == LightThread::State::dead && !thread.killed) release(thread);
}

namespace {

const char* message_of(lua_State* failed) {
  return lua_isstring(failed, -1) ? lua_tostring(failed, -1) : "unknown reason";
}

}  // namespace

void Run::report(LightThread& thread) {
  lua_State* co = thread.coroutine.L;
  const char* message = message_of(co);
  const auto inner = trail_ != nullptr ? trail_->of(message) : std::vector<std::string>();
  const log::Logger& logger = request != nullptr ? request->logger : vm.logger();
  log::error(logger, "lua {} thread aborted: {}: {}\n{}", &thread == &entry_ ? "entry" : "user",
             error_kind(thread.status), message, traceback(co, thread.parent, inner));
}

std::string Run::error() {
  luaL_traceback(vm.state(), entry(), message_of(entry()), 0);
  return Vm::pop_error(vm.state());
}

Run::End Run::go(int arguments) {
  if (__builtin_setjmp(entry_.way_out) == 0) resume(entry_, arguments);
  if (threads_ != nullptr || !entry_.ended_well()) [[unlikely]]
    return wind_up();
  // It was alone: there is nobody to tell.
  return exit_ == Exit::none ? End::returned : End::exited;
}

// The end of a run that had user threads, or did not end by returning.
Run::End Run::wind_up() {
  as_new_ = false;
  thread_ended(entry_);
  if (entry_.status == LightThread::kLeft && exit_ == Exit::none) return End::cancelled;
  if (exit_ == Exit::none && entry_.failed()) {
    end_others();
    return End::failed;
  }
  while (alive_ > 0 && exit_ == Exit::none) {
    try {
      changed_.wait();
    } catch (const fiber::Cancelled&) {
      if (exit_ == Exit::none) return End::cancelled;
    }
  }
  if (exit_ == Exit::none) return End::returned;
  end_others();
  return End::exited;
}

// Stops every user thread that still runs, and waits until they are gone: they refer to this Run.
void Run::end_others() {
  for (LightThread* t = threads_; t != nullptr; t = t->next) {
    if (t->state == LightThread::State::running && t->fiber != nullptr) {
      t->killed = true;
      fiber::cancel(*t->fiber);
    }
  }
  if (alive_ > 0) {
    fiber::CancelShield shield;
    while (alive_ > 0) changed_.wait();
  }
  if (entry_cancelled_by_us_) fiber::clear_cancel(*std::exchange(entry_cancelled_by_us_, nullptr));
}

void Run::exit(Exit kind, int status) {
  note_exit(kind, status);
  if (self() != &entry_ && entry_.state == LightThread::State::running) {
    entry_.killed = true;
    if (!fiber::cancelled(*entry_.fiber)) {
      entry_cancelled_by_us_ = entry_.fiber;
      fiber::cancel(*entry_.fiber);
    }
  }
  changed_.notify_all();
  leave();
}

bool Run::exit_possible() const {
  if (entry_.pending_subrequests > 0) return false;
  for (LightThread* t = threads_; t != nullptr; t = t->next) {
    if (t->pending_subrequests > 0) return false;
  }
  return true;
}

// Makes a user thread of the function and arguments on top of `L`; its coroutine takes their place there.
LightThread* Run::prepare(lua_State* L, int arguments, LightThread& parent) {
  LightThread* thread = make_thread();
  thread->run = this;
  thread->parent = &parent;
  thread->shared = true;
  thread->next = nullptr;
  lua_State* co = thread->coroutine.L = lua_newthread(L);
  lua_pushvalue(L, -1);
  lua_rawseti(L, LUA_REGISTRYINDEX, thread->coroutine.anchor);
  lua_setexdata(co, request);
  lua_setexdata2(co, co);
  lua_insert(L, -(arguments + 2));
  lua_xmove(L, co, arguments + 1);
  return thread;
}

void Run::run_user_thread(LightThread& thread, int arguments) {
  thread.fiber = fiber::current();
  fiber::local().lua = &thread;
  if (__builtin_setjmp(thread.way_out) == 0) resume(thread, arguments);
  thread_ended(thread);
}

void Run::spawn(lua_State* L, int arguments) {
  LightThread* thread = prepare(L, arguments, *self());
  thread->spawner = L;
  thread->next = threads_;
  threads_ = thread;
  ++alive_;
  fiber::spawn_ahead([this, thread, arguments] { run_user_thread(*thread, arguments); });
}

ErrorTrail& Run::trail() {
  as_new_ = false;
  if (trail_ == nullptr) trail_ = std::make_unique<ErrorTrail>();
  return *trail_;
}

bool Run::set_on_abort(lua_State* L) {
  if (on_abort_set_) return false;
  as_new_ = false;
  on_abort_set_ = true;
  on_abort_ = prepare(L, 0, entry_);
  lua_pop(L, 1);
  return true;
}

bool Run::start_on_abort() {
  if (!on_abort_set_) return false;
  if (on_abort_ == nullptr) return true;
  LightThread* thread = std::exchange(on_abort_, nullptr);
  thread->next = threads_;
  threads_ = thread;
  ++alive_;
  thread->fiber = fiber::spawn([this, thread] {
    fiber::local().request = request;
    if (thread->killed) {
      thread->status = LightThread::kLeft;
      thread_ended(*thread);
      return;
    }
    run_user_thread(*thread, 0);
  });
  return true;
}

LightThread* Run::find(lua_State* coroutine) {
  if (coroutine == entry_.coroutine.L) return &entry_;
  // Coroutines inherit exdata2 from their creator: that of a light thread is its own address.
  if (lua_getexdata2(coroutine) == &dead_thread) return &dead_thread;
  if (lua_getexdata2(coroutine) != coroutine) return nullptr;
  LightThread* thread = threads_;
  while (thread != nullptr && thread->coroutine.L != coroutine) thread = thread->next;
  return thread;
}

void Run::kill(LightThread& thread) {
  thread.killed = true;
  if (thread.fiber != nullptr) {
    fiber::cancel(*thread.fiber);
    fiber::CancelShield shield;
    while (thread.state == LightThread::State::running) thread.ended.wait();
  }
  release(thread);
}

void Run::release(LightThread& thread) {
  for (LightThread** link = &threads_; *link != nullptr; link = &(*link)->next) {
    if (*link == &thread) {
      *link = thread.next;
      break;
    }
  }
  for (LightThread* t = threads_; t != nullptr; t = t->next) {
    if (t->parent == &thread) t->parent = &dead_thread;
  }
  lua_setexdata2(thread.coroutine.L, &dead_thread);
  lua_setexdata(thread.coroutine.L, nullptr);
  lua_pushnil(vm.state());
  lua_rawseti(vm.state(), LUA_REGISTRYINDEX, thread.coroutine.anchor);
  drop_thread(thread);
}

}  // namespace mp::lua
