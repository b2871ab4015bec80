// The *_by_lua hooks, as the phases, filters and other modules call them. Each does nothing when no code is
// configured.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "http/step.hpp"
#include "lua/context.hpp"

namespace mp::http {
class Request;
}

namespace mp::lua {

struct Chunk;
class Run;

// ---- phase handlers. With rewrite_by_lua_no_postpone and its like the `_first` form runs and the other
// declines.
http::Step lua_server_rewrite(http::Request& request);
http::Step lua_rewrite_first(http::Request& request);
http::Step lua_rewrite(http::Request& request);
http::Step lua_access_first(http::Request& request);
http::Step lua_access(http::Request& request);
http::Step lua_precontent_first(http::Request& request);
http::Step lua_precontent(http::Request& request);
http::Step lua_content(http::Request& request);

// A header filter; it adds the body filter of body_filter_by_lua too.
void lua_header_filter(http::Request& request);
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
bool push_code(Run& run, const Chunk& chunk, int& status);

}  // namespace mp::lua
