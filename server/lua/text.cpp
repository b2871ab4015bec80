#include "lua/text.hpp"

#include <cmath>

namespace mp::lua {

namespace {

void append_string(lua_State* L, int index, std::string& out) {
  std::size_t size = 0;
  // A number is converted on a copy: the argument keeps its type.
  lua_pushvalue(L, index);
  const char* text = lua_tolstring(L, -1, &size);
  out.append(text, size);
  lua_pop(L, 1);
}

// Values other than tables; false when the type is none of these.
bool append_scalar(lua_State* L, int index, std::string& out) {
  switch (lua_type(L, index)) {
    case LUA_TNUMBER:
    case LUA_TSTRING:
      append_string(L, index, out);
      return true;
    case LUA_TNIL:
      out.append("nil");
      return true;
    case LUA_TBOOLEAN:
      out.append(lua_toboolean(L, index) != 0 ? "true" : "false");
      return true;
    case LUA_TLIGHTUSERDATA:
      if (lua_touserdata(L, index) == nullptr) out.append("null");
      return true;
    default:
      return false;
  }
}

int array_size(lua_State* L, int index, int arg) {
  int most = 0;
  lua_pushnil(L);
  while (lua_next(L, index) != 0) {
    lua_pop(L, 1);
    const lua_Number key = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
    if (key < 1 || std::floor(key) != key) luaL_argerror(L, arg, "non-array table found");
    if (key > most) most = static_cast<int>(key);
  }
  return most;
}

}  // namespace

void append_table(lua_State* L, int index, int arg, Elements elements, std::string& out) {
  if (index < 0) index = lua_gettop(L) + index + 1;
  luaL_checkstack(L, 4, "table nested too deep");
  const int size = array_size(L, index, arg);
  for (int i = 1; i <= size; ++i) {
    lua_rawgeti(L, index, i);
    const int type = lua_type(L, -1);
    const bool text = type == LUA_TNUMBER || type == LUA_TSTRING;
    if (type == LUA_TTABLE) {
      append_table(L, -1, arg, elements, out);
    } else if ((elements == Elements::texts && !text) || !append_scalar(L, lua_gettop(L), out)) {
      luaL_argerror(L, arg, lua_pushfstring(L, "bad data type %s found", lua_typename(L, type)));
    }
    lua_pop(L, 1);
  }
}

void append_text(lua_State* L, int index, int arg, std::string& out) {
  if (lua_type(L, index) == LUA_TTABLE) return append_table(L, index, arg, Elements::any, out);
  if (append_scalar(L, index, out)) return;
  luaL_argerror(
      L, arg,
      lua_pushfstring(L, "string, number, boolean, nil, ngx.null, or array table expected, but got %s",
                      luaL_typename(L, index)));
}

}  // namespace mp::lua
