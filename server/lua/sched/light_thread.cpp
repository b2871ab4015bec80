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
  thread->left = true;
  __builtin_longjmp(thread->way_out, 1);
}

Run::Run(Vm& the_vm, http::Request* the_request, Context the_context)
    : vm(the_vm),
      request(the_request),
      context(the_context),
      entry_{.run = this,
             .coroutine = the_vm.take_coroutine(),
             .fiber = fiber::current(),
             .outer = static_cast<LightThread*>(fiber::local().lua)},
      outer_request_(fiber::local().request) {
  fiber::Local& local = fiber::local();
  local.lua = &entry_;
  local.request = the_request;
  lua_setexdata(entry_.coroutine.L, the_request);
}

Run::~Run() {
  if (threads_ != nullptr || entry_cancelled_by_us_ != nullptr || on_abort_ != nullptr) drop_threads();
  fiber::Local& local = fiber::local();
  local.lua = entry_.outer;
  local.request = outer_request_;
  if (entry_.shared) {
    lua_setexdata2(entry_.coroutine.L, &dead_thread);
    vm.let_go(entry_.coroutine);
  } else {
    vm.give_back(entry_.coroutine, entry_.ok);
  }
}

void Run::drop_threads() {
  end_others();
  while (threads_ != nullptr) release(*threads_);
  if (on_abort_ != nullptr) release(*on_abort_);
}

void Run::run_coroutine(LightThread& thread, int arguments) {
  if (__builtin_setjmp(thread.way_out) != 0) return;
  lua_State* co = thread.coroutine.L;
  for (int passed = arguments;; passed = 0) {
    thread.status = lua_resume(co, passed);
    if (thread.status != LUA_YIELD) return;
    lua_settop(co, 0);
    if (!take_turn(thread)) {
      thread.left = true;
      return;
    }
  }
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
  lua_State* co = thread.coroutine.L;
  thread.ok = !thread.left && thread.status == 0;
  if (!thread.ok && !thread.left) report(thread);
  if (&thread != &entry_) {
    --alive_;
    const bool wanted =
        !thread.left && exit_ == Exit::none && thread.parent->state == LightThread::State::running;
    thread.state = wanted ? LightThread::State::zombie : LightThread::State::dead;
    if (!thread.ok && !thread.left) keep_error(co);
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

void Run::report(LightThread& thread) {
  lua_State* co = thread.coroutine.L;
  const char* message = lua_isstring(co, -1) ? lua_tostring(co, -1) : "unknown reason";
  const char* kind = error_kind(thread.status);
  if (&thread == &entry_ && error_ != nullptr) {
    luaL_traceback(vm.state(), co, message, 0);
    *error_ = Vm::pop_error(vm.state());
    return;
  }
  const auto inner = trail_ != nullptr ? trail_->of(message) : std::vector<std::string>();
  const log::Logger& logger = request != nullptr ? request->logger : vm.logger();
  log::error(logger, "lua {} thread aborted: {}: {}\n{}", &thread == &entry_ ? "entry" : "user", kind,
             message, traceback(co, thread.parent, inner));
}

Run::End Run::go(int arguments, std::string& error) {
  error_ = &error;
  const End end = go(arguments);
  error_ = nullptr;
  return end;
}

Run::End Run::go(int arguments) {
  run_coroutine(entry_, arguments);
  if (threads_ != nullptr || entry_.status != 0 || entry_.left) return wind_up();
  // It was alone: there is nobody to tell.
  entry_.ok = true;
  entry_.state = LightThread::State::dead;
  return exit_ == Exit::none ? End::returned : End::exited;
}

// The end of a run that had user threads, or did not end by returning.
Run::End Run::wind_up() {
  thread_ended(entry_);
  if (entry_.left && exit_ == Exit::none) return End::cancelled;
  if (exit_ == Exit::none && !entry_.ok) {
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
  run_coroutine(thread, arguments);
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
  if (trail_ == nullptr) trail_ = std::make_unique<ErrorTrail>();
  return *trail_;
}

bool Run::set_on_abort(lua_State* L) {
  if (on_abort_set_) return false;
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
      thread->left = true;
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
