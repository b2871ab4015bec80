// How much a VM's heap may grow before the collector starts again.
#pragma once

#include <lua.hpp>

namespace mp::lua {

// LuaJIT starts a collection when the heap has doubled. A small one does that every few hundred requests, and
// each time all that lives is marked and every string looked at. From now on a heap grows by some megabytes
// at least; a large one doubles as ever. Ends when a script sets the pause itself.
void pace_collector(lua_State* L);

}  // namespace mp::lua
