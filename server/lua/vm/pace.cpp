#include "lua/vm/pace.hpp"

#include <algorithm>

namespace mp::lua {
namespace {

constexpr int kGrowth = 4 * 1024;  // KB

// What is set now: percent of what lives. Kept in the userdata whose finalizer ends each collection.
struct Pace {
  int pause;
};

int wanted_pause(lua_State* L) {
  const int lives = std::max(lua_gc(L, LUA_GCCOUNT, 0), 1);
  return 100 + std::clamp(kGrowth * 100 / lives, 100, 900);
}

void make_next(lua_State* L, int pause, int metatable) {
  static_cast<Pace*>(lua_newuserdata(L, sizeof(Pace)))->pause = pause;
  lua_pushvalue(L, metatable);
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

// The finalizer of a Pace.
int adjust(lua_State* L) {
  const int before = static_cast<const Pace*>(lua_touserdata(L, 1))->pause;
  const int pause = wanted_pause(L);
  if (const int found = lua_gc(L, LUA_GCSETPAUSE, pause); found != before) {
    lua_gc(L, LUA_GCSETPAUSE, found);
    return 0;
  }
  lua_getmetatable(L, 1);
  make_next(L, pause, lua_gettop(L));
  return 0;
}

}  // namespace

void pace_collector(lua_State* L) {
  const int pause = wanted_pause(L);
  lua_gc(L, LUA_GCSETPAUSE, pause);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, adjust);
  lua_setfield(L, -2, "__gc");
  make_next(L, pause, lua_gettop(L));
  lua_pop(L, 1);
}

}  // namespace mp::lua
