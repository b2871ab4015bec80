// ngx.errlog: captured error log lines, and writing lines as they are.
#include "lua/api.hpp"
#include "lua/log_capture.hpp"
#include "lua/runtime.hpp"

namespace mp::lua {
namespace {

constexpr const char* kNotSet = "directive \"lua_capture_error_log\" is not set";

LogCapture* capture_of(lua_State* L) {
  const conf::Configuration* configuration = Vm::of(L).configuration();
  conf::ConfSet* set = configuration != nullptr ? configuration->root()[conf::Level::main] : nullptr;
  return set != nullptr ? set->get<RuntimeMain>().capture.get() : nullptr;
}

bool is_level(lua_Integer level) {
  return level >= 0 && level <= static_cast<lua_Integer>(log::Level::debug);
}

// set_level(level): true, or nil and why not.
int set_level(lua_State* L) {
  const lua_Integer level = luaL_checkinteger(L, 1);
  LogCapture* capture = capture_of(L);
  if (capture == nullptr) return push_failure(L, kNotSet);
  if (!is_level(level)) return push_failure(L, "bad log level: " + std::to_string(level));
  capture->set_level(static_cast<log::Level>(level));
  lua_pushboolean(L, 1);
  return 1;
}

// take(): level, time and text of the oldest line; nothing when there is none; nil and why not.
int take(lua_State* L) {
  LogCapture* capture = capture_of(L);
  if (capture == nullptr) return push_failure(L, kNotSet);
  const auto line = capture->take();
  if (!line) return 0;
  lua_pushinteger(L, static_cast<lua_Integer>(line->level));
  lua_pushnumber(L, line->time);
  push(L, line->text);
  return 3;
}

int sys_level(lua_State* L) {
  const log::Logger& target = logger();
  lua_pushinteger(L, target.log != nullptr ? static_cast<lua_Integer>(target.log->level()) : 0);
  return 1;
}

constexpr luaL_Reg kFunctions[] = {{"set_level", set_level}, {"take", take}, {"sys_level", sys_level}};

}  // namespace

extern const Group kErrlogGroup = {"errlog", kFunctions};

}  // namespace mp::lua

extern "C" {

// -1 when there is no such level.
int mp_errlog_raw(int level, const char* text, std::size_t size) {
  if (!mp::lua::is_level(level)) return -1;
  mp::log::write_text(static_cast<mp::log::Level>(level), mp::lua::logger(), {text, size});
  return 0;
}
}
