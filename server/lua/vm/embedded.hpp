// The Lua files that are linked into the binary (lua/**/*.lua of the source tree), by module name.
#pragma once

#include <cstddef>
#include <string_view>

struct lua_State;

namespace mp::lua {

struct EmbeddedFile {
  const char* module;  // "moonphase.api.time"
  const char* text;
  std::size_t size;
};

// Null when there is none of this name.
const EmbeddedFile* find_embedded(std::string_view module);

// Puts a loader for each of them into package.preload, so that they are found before lua_package_path.
void preload_embedded(lua_State* L);

// lua_CFunction: loads and runs the embedded module whose name is argument 1.
int load_embedded(lua_State* L);

}  // namespace mp::lua
