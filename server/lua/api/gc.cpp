// What the collector's finalizers need: see lua/moonphase/core/finalizers.lua.
#include "lua/api.hpp"

namespace mp::lua {
namespace {

// stopped(yes): a script has stopped the collector, or let it go on.
int stopped(lua_State* L) {
  Vm::of(L).collector_stopped = lua_toboolean(L, 1) != 0;
  return 0;
}

constexpr luaL_Reg kFunctions[] = {{"stopped", stopped}};

}  // namespace

extern const Group kGcGroup = {"gc", kFunctions};

// LuaJIT holds the collector still while it runs a finalizer.
bool in_finalizer(lua_State* L) {
  return lua_gc(L, LUA_GCISRUNNING, 0) == 0 && !Vm::of(L).collector_stopped;
}

void refuse_finalizer(lua_State* L) {
  luaL_error(L, "attempt to wait in a __gc finalizer");
}

}  // namespace mp::lua
