#include "lua/vm/embedded.hpp"

#include <algorithm>
#include <string>

#include <lua.hpp>

extern "C" const mp::lua::EmbeddedFile mp_embedded_lua[];

namespace mp::lua {

const EmbeddedFile* find_embedded(std::string_view module) {
  for (const EmbeddedFile* file = mp_embedded_lua; file->module != nullptr; ++file) {
    if (module == file->module) return file;
  }
  return nullptr;
}

int load_embedded(lua_State* L) {
  const EmbeddedFile* file = find_embedded(luaL_checkstring(L, 1));
  if (file == nullptr) return luaL_error(L, "module '%s' is not built in", lua_tostring(L, 1));
  lua_settop(L, 1);
  lua_pushfstring(L, "@%s.lua", luaL_gsub(L, file->module, ".", "/"));
  if (luaL_loadbuffer(L, file->text, file->size, lua_tostring(L, -1)) != 0) return lua_error(L);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

void preload_embedded(lua_State* L) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  for (const EmbeddedFile* file = mp_embedded_lua; file->module != nullptr; ++file) {
    lua_pushcfunction(L, load_embedded);
    lua_setfield(L, -2, file->module);
  }
  lua_pop(L, 2);
}

}  // namespace mp::lua
