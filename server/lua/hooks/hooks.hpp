// The *_by_lua hooks, as the phases, filters and other modules call them.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "http/step.hpp"
#include "lua/code/chunk.hpp"
#include "lua/context.hpp"
#include "lua/sched/light_thread.hpp"

namespace mp::conf {
struct Sets;
}
namespace mp::http {
class Request;
}

namespace mp::lua {

// ---- phase handlers, and whether a block has code for them: each is called only where it has. With
// rewrite_by_lua_no_postpone and its like a handler stands in front of its phase, where `wants_..._first`
// says so.
http::Step lua_server_rewrite(http::Request& request);
http::Step lua_rewrite(http::Request& request);
http::Step lua_access(http::Request& request);
http::Step lua_precontent(http::Request& request);
http::Step lua_content(http::Request& request);
bool wants_server_rewrite(const conf::Sets& sets);
bool wants_rewrite_first(const conf::Sets& sets);
bool wants_rewrite(const conf::Sets& sets);
bool wants_access_first(const conf::Sets& sets);
bool wants_access(const conf::Sets& sets);
bool wants_precontent_first(const conf::Sets& sets);
bool wants_precontent(const conf::Sets& sets);

// A header filter; it adds the body filter of body_filter_by_lua too.
void lua_header_filter(http::Request& request);
bool wants_header_filter(const conf::Sets& sets);
// Does nothing where no code is configured.
void lua_log(http::Request& request);

// set_by_lua: runs `chunk` with `arguments` and returns its first result in the request's arena. False when
// it failed, which was logged: the request is to end with 500.
bool lua_set(http::Request& request, const Chunk& chunk, std::span<const std::string_view> arguments,
             std::string_view& result);

// ---- for hooks elsewhere (balancer, TLS): runs `chunk` for `request` to its end. False: it failed, and that
// was logged as `failed to run WHAT: ...`. `run` tells of ngx.exit.
bool run_to_end(Run& run, const Chunk& chunk, const char* what);

// Pushes the function of `chunk` on the entry coroutine of `run`; false when it cannot be loaded, which was
// logged. `status` is the one to answer with: 404 and 503 are for files.
bool load_code(Run& run, const Chunk& chunk, int& status);
inline bool push_code(Run& run, const Chunk& chunk, int& status) {
  if (chunk.function == LUA_NOREF || !run.vm.lasting) [[unlikely]]
    return load_code(run, chunk, status);
  lua_rawgeti(run.entry(), LUA_REGISTRYINDEX, chunk.function);
  return true;
}

}  // namespace mp::lua
