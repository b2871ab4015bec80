// ngx.pipe: programs as other processes, and their streams.
#include <new>
#include <vector>

#include "lua/api.hpp"
#include "lua/conf.hpp"
#include "lua/pipe/process.hpp"
#include "lua/runtime.hpp"

namespace mp::lua {
namespace {

const char kMetatableKey = 0;

int collect(lua_State* L) {
  static_cast<PipeProcess*>(lua_touserdata(L, 1))->~PipeProcess();
  return 0;
}

// metatable(table): what process objects get.
int metatable(lua_State* L) {
  lua_settop(L, 1);
  lua_pushcfunction(L, collect);
  lua_setfield(L, 1, "__gc");
  lua_pushlightuserdata(L, const_cast<char*>(&kMetatableKey));
  lua_insert(L, 1);
  lua_rawset(L, LUA_REGISTRYINDEX);
  return 0;
}

void push_metatable(lua_State* L) {
  lua_pushlightuserdata(L, const_cast<char*>(&kMetatableKey));
  lua_rawget(L, LUA_REGISTRYINDEX);
}

PipeProcess& process_of(lua_State* L) {
  void* object = lua_touserdata(L, 1);
  push_metatable(L);
  const bool ours = object != nullptr && lua_getmetatable(L, 1) != 0 && lua_rawequal(L, -1, -2) != 0;
  if (!ours) luaL_error(L, "not a process instance");
  lua_pop(L, 2);
  return *static_cast<PipeProcess*>(object);
}

PipeProcesses& processes_of(lua_State* L) {
  auto& main = Vm::of(L).configuration()->root()[conf::Level::main]->get<RuntimeMain>();
  if (main.pipe_processes == nullptr) main.pipe_processes = std::make_shared<PipeProcesses>();
  return *main.pipe_processes;
}

// The strings of the list at `index`, with a null at the end; they stay where they are while the list does.
// Userdata, since errors may be raised while it is in use.
char** strings_at(lua_State* L, int index) {
  const auto count = static_cast<int>(lua_objlen(L, index));
  auto** out = static_cast<char**>(lua_newuserdata(L, sizeof(char*) * static_cast<std::size_t>(count + 1)));
  for (int i = 1; i <= count; ++i) {
    lua_rawgeti(L, index, i);
    out[i - 1] = const_cast<char*>(luaL_checkstring(L, -1));
    lua_pop(L, 1);
  }
  out[count] = nullptr;
  return out;
}

// spawn(arguments, environment?, merge_stderr, buffer_size): the process, or nil and why not.
int spawn(lua_State* L) {
  PipeProcess::Program program{};
  program.arguments = strings_at(L, 1);
  program.path = program.arguments[0];
  if (lua_istable(L, 2)) program.environment = strings_at(L, 2);
  program.merge_stderr = lua_toboolean(L, 3) != 0;
  program.buffer_size = static_cast<std::size_t>(luaL_checkinteger(L, 4));
  auto* process = new (lua_newuserdata(L, sizeof(PipeProcess))) PipeProcess;
  push_metatable(L);
  lua_setmetatable(L, -2);
  if (const Status started = process->start(processes_of(L), program, Vm::of(L).logger()); !started) {
    return push_failure(L, started.error().text);
  }
  return 1;
}

// set_timeouts(process, write?, out?, err?, wait?): milliseconds.
int set_timeouts(lua_State* L) {
  auto& t = process_of(L).timeouts;
  fiber::Msec* const places[] = {&t.write, &t.out, &t.err, &t.wait};
  for (int i = 0; i < 4; ++i) {
    if (lua_isnumber(L, i + 2) != 0) *places[i] = static_cast<fiber::Msec>(lua_tonumber(L, i + 2));
  }
  return 0;
}

// read(process, from_stderr, mode, size): the bytes; or nil, why not, and what had come.
int read(lua_State* L) {
  check_request(L, kWaiting);
  PipeProcess& process = process_of(L);
  const auto stream = lua_toboolean(L, 2) != 0 ? PipeProcess::kErr : PipeProcess::kOut;
  const auto mode = static_cast<PipeProcess::Mode>(luaL_checkinteger(L, 3));
  const char* error = process.read(stream, mode, static_cast<std::size_t>(luaL_checknumber(L, 4)));
  if (error == nullptr) {
    push(L, process.taken());
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, error);
  push(L, process.taken());
  return 3;
}

// write(process, bytes): how many; or nil and why not.
int write(lua_State* L) {
  check_request(L, kWaiting);
  const std::string_view bytes = text_at(L, 2);
  if (const char* error = process_of(L).write(bytes)) return push_failure(L, error);
  lua_pushinteger(L, static_cast<lua_Integer>(bytes.size()));
  return 1;
}

// wait(process): whether all went well, "exit" or "signal", and the number; or nil and why not.
int wait(lua_State* L) {
  check_request(L, kWaiting);
  const char* error = nullptr;
  const auto ended = process_of(L).wait(error);
  if (!ended) return push_failure(L, error);
  lua_pushboolean(L, ended->status == 0 ? 1 : 0);
  lua_pushstring(L, ended->reason);
  lua_pushinteger(L, ended->status);
  return 3;
}

int done(lua_State* L, const char* error) {
  if (error != nullptr) return push_failure(L, error);
  lua_pushboolean(L, 1);
  return 1;
}

// shutdown(process, direction): "stdin", "stdout" or "stderr".
int shutdown(lua_State* L) {
  PipeProcess& process = process_of(L);
  const std::string_view direction = text_at(L, 2);
  if (direction == "stdin") return done(L, process.shut_down_stdin());
  if (direction == "stdout") return done(L, process.shut_down(PipeProcess::kOut));
  return done(L, process.shut_down(PipeProcess::kErr));
}

int kill(lua_State* L) {
  return done(L, process_of(L).kill(static_cast<int>(luaL_checkinteger(L, 2))));
}

int pid(lua_State* L) {
  lua_pushinteger(L, process_of(L).pid());
  return 1;
}

constexpr luaL_Reg kFunctions[] = {
    {"metatable", metatable}, {"spawn", spawn},        {"set_timeouts", set_timeouts},
    {"read", waits<read>},    {"write", waits<write>}, {"wait", waits<wait>},
    {"shutdown", shutdown},   {"kill", kill},          {"pid", pid},
};

}  // namespace

extern const Group kPipeGroup = {"pipe", kFunctions};

}  // namespace mp::lua
