// Vm: one LuaJIT state with everything scripts see in it. The master makes it while it loads the
// configuration (init_by_lua runs in it) and the workers inherit it through fork; it belongs to the LuaMain
// of that configuration. With `lua_code_cache off` each request has one of its own, which belongs to the
// request.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <lua.hpp>

#include "base/log.hpp"
#include "base/result.hpp"

namespace mp::lua {

struct Chunk;

// A coroutine taken from a Vm, kept from the collector by its anchor.
struct Coroutine {
  lua_State* L = nullptr;
  int anchor = LUA_NOREF;
};

class Vm {
 public:
  struct Options {
    std::string_view package_path;  // lua_package_path; ";;" stands for the default
    std::string_view package_cpath;
    std::string_view prefix;  // of the server, for ngx.config.prefix() and relative Lua files
    std::size_t thread_cache = 1024;
    log::Logger logger;  // of the process: for code that runs for no request
  };

  // A state with the standard libraries and the ngx API loaded. The error's text names what failed.
  static Result<std::unique_ptr<Vm>> create(const Options& options);
  ~Vm();
  Vm(const Vm&) = delete;
  Vm& operator=(const Vm&) = delete;

  // The Vm that a state belongs to.
  static Vm& of(lua_State* L);

  // The main state: for work outside of light threads. Leave its stack as you found it.
  lua_State* state() const { return L_; }

  // A coroutine with an empty stack; `used` ones come back clean. A coroutine that Lua code may still refer
  // to is let go instead of given back.
  Coroutine take_coroutine();
  void give_back(Coroutine coroutine, bool ended_normally);
  void let_go(Coroutine coroutine);

  // Pushes the function of a chunk, compiling it on first use. The error's text is Lua's own message.
  Status push_chunk(lua_State* L, const Chunk& chunk);

  const log::Logger& logger() const { return logger_; }
  std::string_view prefix() const { return prefix_; }
  // The registry reference of the table that holds one table per request slot: ngx.ctx and globals of
  // requests.
  int request_tables() const { return request_tables_; }

  // What a failed call left on top of `L`, as text; pops it.
  static std::string pop_error(lua_State* L);

 private:
  Vm() = default;
  Status open(const Options& options);

  lua_State* L_ = nullptr;
  log::Logger logger_;
  std::string prefix_;
  std::vector<Coroutine> spare_;
  std::size_t most_spare_ = 1024;
  int request_tables_ = LUA_NOREF;
  int chunks_ = LUA_NOREF;  // table: Chunk address or file path -> function
};

}  // namespace mp::lua
