// ngx.thread.spawn, wait and kill.
#include "lua/api.hpp"

namespace mp::lua {
namespace {

lua_State* thread_at(lua_State* L, int index) {
  lua_State* thread = lua_tothread(L, index);
  luaL_argcheck(L, thread != nullptr, index, "lua thread expected");
  return thread;
}

// The light thread with the coroutine at `index`; null when it is none of this request.
LightThread* find(lua_State* L, int index) {
  lua_State* coroutine = thread_at(L, index);
  LightThread* thread = self()->run->find(coroutine);
  if (thread == nullptr && lua_getexdata(coroutine) != request()) luaL_error(L, "no co ctx found");
  return thread;
}

bool is_user_thread(const LightThread* thread) {
  return thread != nullptr && thread != &self()->run->entry_thread();
}

// spawn(function, ...)
int spawn(lua_State* L) {
  check_request(L);
  luaL_argcheck(L, lua_isfunction(L, 1) && !lua_iscfunction(L, 1), 1, "Lua function expected");
  check_context(L, kWaiting);
  self()->run->spawn(L, lua_gettop(L) - 1);
  return 1;
}

// Moves the results of a thread that has ended to L: true and its values, or false and the error.
int take_results(lua_State* L, LightThread& thread) {
  lua_State* from = thread.coroutine.L;
  const int count = lua_gettop(from);
  luaL_checkstack(L, count + 1, "too many results");
  lua_pushboolean(L, thread.ended_well());
  lua_xmove(from, L, count);
  self()->run->release(thread);
  return count + 1;
}

// Checks the arguments of wait(). The number of results when there is nothing to wait for, else -1.
int look_at(lua_State* L, int count) {
  for (int i = 1; i <= count; ++i) {
    LightThread* thread = find(L, i);
    if (!is_user_thread(thread)) {
      return luaL_error(L, "attempt to wait on a coroutine that is not a user thread");
    }
    if (thread->state == LightThread::State::dead) {
      if (i < count) continue;
      return push_failure(L, "already waited or killed");
    }
    if (thread->spawner != L) return luaL_error(L, "only the parent coroutine can wait on the thread");
    if (thread->state == LightThread::State::zombie) return take_results(L, *thread);
  }
  return -1;
}

// wait(thread, ...): the results of the first that ends.
int wait(lua_State* L) {
  check_request(L, kWaiting);
  const int count = lua_gettop(L);
  if (count == 0) return luaL_error(L, "at least one coroutine should be specified");
  for (;;) {
    if (const int results = look_at(L, count); results >= 0) return results;
    self()->run->wait_for_child();
  }
}

int kill(lua_State* L) {
  check_request(L, kWaiting);
  LightThread* thread = find(L, 1);
  if (!is_user_thread(thread)) return push_failure(L, "not user thread");
  if (thread->state == LightThread::State::dead) return push_failure(L, "already waited or killed");
  if (thread->spawner != L) return push_failure(L, "killer not parent");
  if (thread->pending_subrequests > 0) return push_failure(L, "pending subrequests");
  if (thread->state == LightThread::State::zombie) {
    self()->run->release(*thread);
    return push_failure(L, "already terminated");
  }
  self()->run->kill(*thread);
  lua_pushinteger(L, 1);
  return 1;
}

constexpr luaL_Reg kFunctions[] = {{"spawn", waits<spawn>}, {"wait", waits<wait>}, {"kill", waits<kill>}};

}  // namespace

extern const Group kThreadGroup = {"thread", kFunctions};

}  // namespace mp::lua
