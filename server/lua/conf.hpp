// The configuration types of the Lua module: what lua_* and *_by_lua directives set.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "conf/context.hpp"
#include "conf/setting.hpp"
#include "conf/values.hpp"
#include "lua/code/chunk.hpp"
#include "lua/vm/vm.hpp"

namespace mp::lua {

using conf::Level;
using conf::Setting;

struct LuaMain {
  static constexpr Level kLevel = Level::main;

  Setting<std::string_view> package_path;
  Setting<std::string_view> package_cpath;
  Setting<int> thread_cache_max_entries = 1024;
  Setting<bool> isolate_globals = true;
  Setting<bool> rewrite_no_postpone = false;
  Setting<bool> access_no_postpone = false;
  Setting<bool> precontent_no_postpone = false;
  Setting<int> malloc_trim = 1000;  // requests between two times of giving free memory back; 0: never
  int requests_since_trim = 0;
  std::uint64_t trimmed_at = 0;  // by the monotonic clock, milliseconds
  Chunk* init = nullptr;
  Chunk* init_worker = nullptr;
  Chunk* exit_worker = nullptr;

  bool wanted = false;                       // some directive has Lua code
  std::vector<std::string> uncached_places;  // "FILE:LINE" of each `lua_code_cache off`

  // The Vm of this configuration; made by start() in lua.hpp, used by every worker through fork.
  std::unique_ptr<Vm> vm;
  Vm::Options vm_options;
  // Settings for code that runs for no client: timers, init_worker.
  conf::Sets detached;
};

struct LuaServer {
  static constexpr Level kLevel = Level::server;
  Chunk* server_rewrite = nullptr;
  Chunk* ssl_client_hello = nullptr;
  Chunk* ssl_certificate = nullptr;
  Chunk* ssl_session_fetch = nullptr;
  Chunk* ssl_session_store = nullptr;
  Status merge(conf::Context& ctx, const LuaServer& parent);
};

struct LuaLocation {
  static constexpr Level kLevel = Level::location;
  Setting<bool> code_cache;
  Setting<bool> use_default_type;
  Setting<bool> need_request_body;
  Setting<bool> transform_underscores;
  Setting<bool> check_client_abort;
  Setting<bool> http10_buffering;
  Chunk* rewrite = nullptr;
  Chunk* access = nullptr;
  Chunk* precontent = nullptr;
  Chunk* content = nullptr;
  Chunk* header_filter = nullptr;
  Chunk* body_filter = nullptr;
  Chunk* log = nullptr;
  Chunk* proxy_ssl_certificate = nullptr;
  Chunk* proxy_ssl_verify = nullptr;
  Status merge(conf::Context& ctx, const LuaLocation& parent);
};

struct LuaUpstream {
  static constexpr Level kLevel = Level::upstream;
  Chunk* balancer = nullptr;
  Setting<int> keepalive = 32;  // idle connections kept a worker: balancer_keepalive
};

}  // namespace mp::lua
