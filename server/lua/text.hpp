// Lua values as text, as ngx.print and its like take them: strings, numbers, booleans, nil, ngx.null, and
// array tables of these.
#pragma once

#include <string>

#include <lua.hpp>

namespace mp::lua {

// Which values an array table may hold.
enum class Elements { any, texts };  // texts: strings, numbers and tables of them

// Appends the value at `index`, which is argument `arg` for messages.
void append_text(lua_State* L, int index, int arg, std::string& out);

// Appends the array table at `index`. Errors are those of luaL_argerror: "non-array table found", "bad data
// type X found".
void append_table(lua_State* L, int index, int arg, Elements elements, std::string& out);

}  // namespace mp::lua
