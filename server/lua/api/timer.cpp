// ngx.timer.at, ngx.timer.every and their counters.
#include "lua/api.hpp"
#include "lua/runtime.hpp"
#include "lua/sched/timers.hpp"

namespace mp::lua {
namespace {

Timers& timers_of(const Request& r) {
  auto& main = r.conf<RuntimeMain>();
  if (!main.timers) {
    main.timers = std::make_shared<Timers>(Timers::Limits{main.max_pending_timers, main.max_running_timers});
  }
  return *main.timers;
}

int set_timer(lua_State* L, bool every) {
  const int arguments = lua_gettop(L);
  if (arguments < 2) return luaL_error(L, "expecting at least 2 arguments but got %d", arguments);
  const lua_Number seconds = luaL_checknumber(L, 1);
  const auto delay = seconds > 0 ? static_cast<fiber::Msec>(seconds * 1000) : 0;
  if (every && delay == 0) return luaL_error(L, "delay cannot be zero");
  luaL_argcheck(L, lua_isfunction(L, 2) && !lua_iscfunction(L, 2), 2, "Lua function expected");
  Request* r = request();
  if (r == nullptr) return luaL_error(L, "no request");
  check_context(L, ~static_cast<Contexts>(kExitWorker));
  switch (timers_of(*r).add(L, 2, delay, every ? delay : 0, *r)) {
    case Timers::Added::exiting:
      return push_failure(L, "process exiting");
    case Timers::Added::too_many:
      return push_failure(L, "too many pending timers");
    case Timers::Added::yes:
      break;
  }
  lua_pushinteger(L, 1);
  return 1;
}

int at(lua_State* L) {
  return set_timer(L, false);
}

int every(lua_State* L) {
  return set_timer(L, true);
}

int running_count(lua_State* L) {
  lua_pushinteger(L, timers_of(check_request(L)).running());
  return 1;
}

int pending_count(lua_State* L) {
  lua_pushinteger(L, timers_of(check_request(L)).pending());
  return 1;
}

constexpr luaL_Reg kFunctions[] = {
    {"at", at},
    {"every", every},
    {"running_count", running_count},
    {"pending_count", pending_count},
};

}  // namespace

extern const Group kTimerGroup = {"timer", kFunctions};

}  // namespace mp::lua
