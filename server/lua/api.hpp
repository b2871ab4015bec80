// What an API group is made of: a C++ file in server/lua/api with functions for Lua, and a Lua file of the
// same stem in lua/moonphase/api that declares and wraps them. README.md shows the pattern.
//
// Two kinds of functions:
//  * `extern "C"` mp_* functions, called through ffi.C from compiled traces. They never park and never call
//  Lua. They
//    find the request with request(), report through return codes and out parameters.
//  * lua_CFunctions listed in the group, which Lua finds in require("moonphase.native").GROUP. They may park
//  when they
//    are listed as waits<function>.
#pragma once

#include <span>
#include <string_view>

#include <lua.hpp>

#include "base/log.hpp"
#include "fiber/fiber.hpp"
#include "http/request.hpp"
#include "lua/context.hpp"
#include "lua/sched/light_thread.hpp"
#include "lua/vm/vm.hpp"

namespace mp::lua {

using http::Request;

// Return codes of FFI functions: those of ngx.OK .. ngx.DECLINED, and two for the wrong place.
inline constexpr int kOk = 0;
inline constexpr int kError = -1;
inline constexpr int kAgain = -2;
inline constexpr int kBusy = -3;
inline constexpr int kDone = -4;
inline constexpr int kDeclined = -5;
inline constexpr int kNoRequest = -100;   // base.check() raises "no request found"
inline constexpr int kBadContext = -101;  // base.check() raises "API disabled in the current context"

// A text handed to Lua: `mp_str` in lua/moonphase/core/base.lua. It stays valid until the caller has made a
// Lua string of it, at the latest until the next API call.
struct Str {
  const char* data;
  std::size_t size;
};
inline Str str(std::string_view text) {
  return {text.data(), text.size()};
}
inline std::string_view view(const char* data, std::size_t size) {
  return {data, size};
}

// The request that the running code works for; null in init_by_lua and where there is none.
inline Request* request() {
  return static_cast<Request*>(fiber::local().request);
}
// The context of the running Lua code.
inline Context context() {
  const LightThread* thread = self();
  return thread != nullptr ? thread->run->context : kInit;
}
// The log to write to: of the request if there is one.
const log::Logger& logger();

// For lua_CFunctions. Each raises the established error when it is not as required.
Request& check_request(lua_State* L);                    // "no request found"
Request& check_request(lua_State* L, Contexts allowed);  // and the context is one of these
void check_context(lua_State* L, Contexts allowed);      // "API disabled in the context of log_by_lua*"
// For FFI functions: kOk, kNoRequest or kBadContext.
int usable(Request*& out, Contexts allowed);

// Finalizers run in the middle of anything: they may neither wait nor end a thread.
bool in_finalizer(lua_State* L);
void refuse_finalizer(lua_State* L);  // "attempt to wait in a __gc finalizer"

// Makes a lua_CFunction of a function that parks: when the wait is cancelled, C++ unwinds to here, and the
// light thread ends without a way for Lua code to catch it. Lua errors (lua_error) pass through as usual.
template <int (*Function)(lua_State*)>
int waits(lua_State* L) {
  if (in_finalizer(L)) refuse_finalizer(L);
  try {
    if (LightThread* thread = self()) thread->active = L;
    const int results = Function(L);
    if (LightThread* thread = self(); thread == nullptr || !thread->killed) return results;
  } catch (const fiber::Cancelled&) {
  }
  leave();
}

// The value at `index` as text: strings and numbers, else the error luaL_checklstring gives.
inline std::string_view text_at(lua_State* L, int index) {
  std::size_t size = 0;
  const char* data = luaL_checklstring(L, index, &size);
  return {data, size};
}
inline void push(lua_State* L, std::string_view text) {
  lua_pushlstring(L, text.data(), text.size());
}
// nil, "text"
inline int push_failure(lua_State* L, std::string_view text) {
  lua_pushnil(L);
  push(L, text);
  return 2;
}

// A group of native functions; listed in api/groups.cpp.
struct Group {
  const char* name;
  std::span<const luaL_Reg> functions;
};
std::span<const Group* const> groups();

}  // namespace mp::lua
