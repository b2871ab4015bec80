#include "lua/vm/vm.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "lua/api.hpp"
#include "lua/code/chunk.hpp"
#include "lua/code/fixed_arguments.hpp"
#include "lua/sched/light_thread.hpp"
#include "lua/vm/embedded.hpp"
#include "lua/vm/pace.hpp"

namespace mp::lua {

namespace {

const char kVmKey = 0;
const char kTablesKey = 0;

// Where the tables of requests lie on the stack of the main state, while nothing runs there.
constexpr int kRequestTables = 1;

// require "moonphase.native": a table of groups, each a table of functions.
int open_native(lua_State* L) {
  lua_createtable(L, 0, static_cast<int>(groups().size()));
  for (const Group* group : groups()) {
    lua_createtable(L, 0, static_cast<int>(group->functions.size()));
    for (const luaL_Reg& function : group->functions) {
      lua_pushcfunction(L, function.func);
      lua_setfield(L, -2, function.name);
    }
    lua_setfield(L, -2, group->name);
  }
  return 1;
}

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
}

// package.path or package.cpath as the directive says; ";;" stands for what was there.
void set_path(lua_State* L, const char* field, std::string_view setting, std::string_view prefix) {
  if (setting.empty()) return;
  lua_getglobal(L, "package");
  lua_getfield(L, -1, field);
  std::string path(setting);
  replace_all(path, ";;", ";\1;");
  replace_all(path, "$prefix", prefix);
  replace_all(path, "${prefix}", prefix);
  replace_all(path, "\1", lua_tostring(L, -1));
  push(L, path);
  lua_setfield(L, -3, field);
  lua_pop(L, 2);
}

// References that are given out one by one lie in the hash part of the registry, and are found there by a
// search. Those that were given out and back before are in its array: the first chunks get them.
void reserve_references(lua_State* L) {
  constexpr int kCount = 128;
  int references[kCount];
  for (int& reference : references) {
    lua_pushboolean(L, 1);
    reference = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  for (int i = kCount; i > 0; --i) luaL_unref(L, LUA_REGISTRYINDEX, references[i - 1]);
}

int open_libraries(lua_State* L) {
  luaL_openlibs(L);
  return 0;
}

}  // namespace

Result<std::unique_ptr<Vm>> Vm::create(const Options& options) {
  std::unique_ptr<Vm> vm(new Vm);
  if (auto status = vm->open(options); !status) return fail(std::move(status.error()));
  return vm;
}

Vm::~Vm() {
  for (Run* run : spare_) delete run;
  if (L_ != nullptr) lua_close(L_);
}

Status Vm::open(const Options& options) {
  logger_ = options.logger;
  prefix_ = options.prefix;
  configuration_ = options.configuration;
  spare_.reserve(options.thread_cache);
  isolate_globals_ = options.isolate_globals;
  L_ = luaL_newstate();
  if (L_ == nullptr) return fail("failed to initialize Lua VM");
  lua_pushlightuserdata(L_, const_cast<char*>(&kVmKey));
  lua_pushlightuserdata(L_, this);
  lua_rawset(L_, LUA_REGISTRYINDEX);
  if (lua_cpcall(L_, open_libraries, nullptr) != 0) return fail(pop_error(L_));

  reserve_references(L_);
  lua_newtable(L_);
  lua_pushlightuserdata(L_, const_cast<char*>(&kTablesKey));
  lua_pushvalue(L_, -2);  // it stays at kRequestTables too
  lua_rawset(L_, LUA_REGISTRYINDEX);
  lua_newtable(L_);
  chunks_ = luaL_ref(L_, LUA_REGISTRYINDEX);

  set_path(L_, "path", options.package_path, prefix_);
  set_path(L_, "cpath", options.package_cpath, prefix_);
  preload_embedded(L_);
  lua_getglobal(L_, "package");
  lua_getfield(L_, -1, "preload");
  lua_pushcfunction(L_, open_native);
  lua_setfield(L_, -2, "moonphase.native");
  lua_pop(L_, 2);

  // It fills the ngx table and returns the environment that handlers run in.
  lua_pushcfunction(L_, load_embedded);
  lua_pushstring(L_, options.init);
  if (lua_pcall(L_, 1, 1, 0) != 0) return fail(pop_error(L_));
  environment_ = luaL_ref(L_, LUA_REGISTRYINDEX);
  pace_collector(L_);
  return {};
}

Vm::Paths Vm::paths() const {
  Paths paths;
  lua_getglobal(L_, "package");
  if (lua_istable(L_, -1)) {
    lua_getfield(L_, -1, "path");
    lua_getfield(L_, -2, "cpath");
    if (const char* text = lua_tostring(L_, -2)) paths.path = text;
    if (const char* text = lua_tostring(L_, -1)) paths.cpath = text;
    lua_pop(L_, 2);
  }
  lua_pop(L_, 1);
  return paths;
}

void Vm::set_paths(const Paths& paths) {
  lua_getglobal(L_, "package");
  push(L_, paths.path);
  lua_setfield(L_, -2, "path");
  push(L_, paths.cpath);
  lua_setfield(L_, -2, "cpath");
  lua_pop(L_, 1);
}

Vm& Vm::of(lua_State* L) {
  lua_pushlightuserdata(L, const_cast<char*>(&kVmKey));
  lua_rawget(L, LUA_REGISTRYINDEX);
  Vm* vm = static_cast<Vm*>(lua_touserdata(L, -1));
  lua_pop(L, 1);
  return *vm;
}

Run& Vm::make_run() {
  Coroutine coroutine;
  coroutine.L = lua_newthread(L_);
  lua_setexdata2(coroutine.L, coroutine.L);
  coroutine.anchor = luaL_ref(L_, LUA_REGISTRYINDEX);
  return *new Run(*this, coroutine);
}

void Vm::let_go(Run& run) {
  luaL_unref(L_, LUA_REGISTRYINDEX, run.entry_thread().coroutine.anchor);
  delete &run;
}

int Vm::take_slot() {
  if (free_slots_.empty()) return ++slots_;
  const int slot = free_slots_.back();
  free_slots_.pop_back();
  return slot;
}

void Vm::free_slot(int slot) {
  lua_pushnil(L_);
  lua_rawseti(L_, kRequestTables, ctx_place(slot));
  if (has_globals) {
    lua_pushnil(L_);
    lua_rawseti(L_, kRequestTables, globals_place(slot));
  }
  free_slots_.push_back(slot);
}

void Vm::push_request_tables(lua_State* L) const {
  lua_pushlightuserdata(L, const_cast<char*>(&kTablesKey));
  lua_rawget(L, LUA_REGISTRYINDEX);
}

LoadResult Vm::push_chunk(lua_State* L, const Chunk& chunk, std::string_view path) {
  // Inline code and files of fixed name are known by their Chunk, other files by their path.
  if (chunk.is_fixed()) {
    if (const auto known = functions_.find(&chunk); known != functions_.end()) {
      lua_rawgeti(L, LUA_REGISTRYINDEX, known->second);
      return LoadResult::loaded;
    }
    const LoadResult result = load_chunk(L, chunk, path);
    if (result != LoadResult::loaded) return result;
    lua_pushvalue(L, -1);
    functions_.emplace(&chunk, luaL_ref(L, LUA_REGISTRYINDEX));
    return result;
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, chunks_);
  push(L, path);
  lua_rawget(L, -2);
  if (!lua_isfunction(L, -1)) {
    lua_pop(L, 1);
    const LoadResult result = load_chunk(L, chunk, path);
    if (result != LoadResult::loaded) {
      lua_remove(L, -2);
      return result;
    }
    push(L, path);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
  }
  lua_remove(L, -2);
  return LoadResult::loaded;
}

// Pushes the function, or Lua's message.
LoadResult Vm::load_chunk(lua_State* L, const Chunk& chunk, std::string_view path) {
  const int rc = chunk.is_file() ? load_file(L, std::string(path).c_str())
                                 : load_text(L, chunk.code, chunk.name.c_str());
  const int error = errno;
  if (rc == LUA_ERRFILE) return error == ENOENT ? LoadResult::no_file : LoadResult::unreadable;
  if (rc != 0) return LoadResult::bad_code;
  if (isolate_globals_ && !chunk.shared_globals) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, environment_);
    lua_pushliteral(L, "ngx");
    lua_pushvalue(L, -1);
    lua_rawget(L, LUA_GLOBALSINDEX);  // past a __index that scripts have given _G, which may raise errors
    lua_rawset(L, -3);
    lua_setfenv(L, -2);
  }
  return LoadResult::loaded;
}

std::string Vm::pop_error(lua_State* L) {
  std::size_t size = 0;
  const char* text = lua_tolstring(L, -1, &size);
  std::string error = text != nullptr ? std::string(text, size) : "unknown reason";
  lua_pop(L, 1);
  return error;
}

}  // namespace mp::lua
