// ngx.log and print.
#include <cstring>

#include "lua/api.hpp"
#include "lua/text.hpp"

namespace mp::lua {
namespace {

// "init.lua:12: name(): ": where the call stands.
void append_place(lua_State* L, std::string& out) {
  lua_Debug frame{};
  if (lua_getstack(L, 1, &frame) == 0 || lua_getinfo(L, "Snl", &frame) == 0) return;
  std::string_view file = frame.short_src;
  const std::size_t slash = file.find_last_of("/\\");
  if (slash != std::string_view::npos) file.remove_prefix(slash + 1);
  out.append(file).append(":");
  out.append(std::to_string(frame.currentline > 0 ? frame.currentline : frame.linedefined)).append(": ");
  if (*frame.namewhat != '\0' && *frame.what == 'L') out.append(frame.name).append("(): ");
}

void append_argument(lua_State* L, int index, std::string& out) {
  const int type = lua_type(L, index);
  if (type == LUA_TTABLE) {
    if (luaL_callmeta(L, index, "__tostring") == 0) {
      luaL_argerror(L, index, "expected table to have __tostring metamethod");
    }
    std::size_t size = 0;
    if (const char* text = lua_tolstring(L, -1, &size)) out.append(text, size);
    lua_pop(L, 1);
    return;
  }
  if (type == LUA_TFUNCTION || type == LUA_TTHREAD || type == LUA_TUSERDATA || type > LUA_TTHREAD) {
    luaL_argerror(
        L, index,
        lua_pushfstring(L, "string, number, boolean, or nil expected, got %s", lua_typename(L, type)));
  }
  append_text(L, index, index, out);
}

int write_line(lua_State* L, log::Level level) {
  const log::Logger& target = logger();
  if (!target.enabled(level)) return 0;
  std::string line = "[lua] ";
  append_place(L, line);
  const int count = lua_gettop(L);
  for (int i = 1; i <= count; ++i) append_argument(L, i, line);
  log::write_text(level, target, line);
  return 0;
}

int write(lua_State* L) {
  const int level = static_cast<int>(luaL_checkinteger(L, 1));
  if (level < 0 || level > static_cast<int>(log::Level::debug)) {
    return luaL_argerror(L, 1, lua_pushfstring(L, "bad log level: %d", level));
  }
  lua_remove(L, 1);
  return write_line(L, static_cast<log::Level>(level));
}

int print(lua_State* L) {
  return write_line(L, log::Level::notice);
}

constexpr luaL_Reg kFunctions[] = {{"log", write}, {"print", print}};

}  // namespace

extern const Group kLogGroup = {"log", kFunctions};

}  // namespace mp::lua
