// LuaJIT compiles no function that takes `...`, and the main function of every chunk does. A chunk that never
// uses
// `...` gets a main function without it, so that a hook is compiled as a whole.
#pragma once

#include <string_view>

#include <lua.hpp>

namespace mp::lua {

// As luaL_loadbuffer().
int load_text(lua_State* L, std::string_view code, const char* name);
// As luaL_loadfile().
int load_file(lua_State* L, const char* path);

}  // namespace mp::lua
