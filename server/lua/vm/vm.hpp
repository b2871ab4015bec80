// Vm: one LuaJIT state with everything scripts see in it. The master makes it while it loads the
// configuration (init_by_lua runs in it) and the workers inherit it through fork; it belongs to the LuaMain
// of that configuration. With `lua_code_cache off` each request has one of its own, which belongs to the
// request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <lua.hpp>

#include "base/log.hpp"
#include "base/result.hpp"

namespace mp::conf {
class Configuration;
}

namespace mp::lua {

struct Chunk;
class Run;

// A coroutine taken from a Vm, kept from the collector by its anchor.
struct Coroutine {
  lua_State* L = nullptr;
  int anchor = LUA_NOREF;
};

enum class LoadResult : std::uint8_t { loaded, bad_code, no_file, unreadable };

class Vm {
 public:
  struct Options {
    std::string_view package_path;  // lua_package_path; ";;" stands for the default
    std::string_view package_cpath;
    std::string_view prefix;  // of the server, for ngx.config.prefix() and relative Lua files
    std::size_t thread_cache = 1024;
    bool isolate_globals = true;          // handlers run in an environment of their own
    log::Logger logger;                   // of the process: for code that runs for no request
    const char* init = "moonphase.init";  // the module that fills the ngx table
    const conf::Configuration* configuration = nullptr;
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

  // A Run to begin; who has it gives it back.
  Run& take_run() {
    if (spare_.empty()) [[unlikely]]
      return make_run();
    Run& run = *spare_.back();
    spare_.pop_back();
    return run;
  }
  // For one that can begin again. When Lua code may still refer to its coroutine, both are let go instead.
  void keep(Run& run) {
    if (spare_.size() == spare_.capacity()) [[unlikely]]
      return let_go(run);
    spare_.push_back(&run);
  }
  void let_go(Run& run);

  // Pushes the function of a chunk, compiling it on first use; `path` is the file's when it is one. When that
  // fails, Lua's message is pushed instead.
  LoadResult push_chunk(lua_State* L, const Chunk& chunk, std::string_view path);

  // package.path and package.cpath as they are now, and as they shall be.
  struct Paths {
    std::string path;
    std::string cpath;
  };
  Paths paths() const;
  void set_paths(const Paths& paths);

  const log::Logger& logger() const { return logger_; }
  std::string_view prefix() const { return prefix_; }
  const conf::Configuration* configuration() const { return configuration_; }
  // Tables that belong to a request are kept in one table, which lies at the bottom of the main state's
  // stack: a slot has two places, one for ngx.ctx and one for the global variables that the request set.
  void push_request_tables(lua_State* L) const;
  static int ctx_place(int slot) { return 2 * slot - 1; }
  static int globals_place(int slot) { return 2 * slot; }
  int take_slot();
  void free_slot(int slot);

  bool collector_stopped = false;  // by a script
  bool lasting = false;            // the one of its configuration: chunks keep their functions in it
  bool has_globals = false;        // some request has set a global variable of its own

  // What a failed call left on top of `L`, as text; pops it.
  static std::string pop_error(lua_State* L);

 private:
  Vm() = default;
  Status open(const Options& options);
  LoadResult load_chunk(lua_State* L, const Chunk& chunk, std::string_view path);
  Run& make_run();

  lua_State* L_ = nullptr;
  log::Logger logger_;
  std::string prefix_;
  const conf::Configuration* configuration_ = nullptr;
  std::vector<Run*> spare_;  // owned; as many as it has room for
  bool isolate_globals_ = false;
  int chunks_ = LUA_NOREF;  // table: file path -> function, for files named by variables
  std::unordered_map<const Chunk*, int> functions_;  // references to the functions of all others
  int environment_ = LUA_NOREF;  // the globals of isolated handlers: _G behind a table of the request
  int slots_ = 0;
  std::vector<int> free_slots_;
};

}  // namespace mp::lua
