// ngx.location.capture and capture_multi: subrequests, truly parallel.
#include "http/subrequest.hpp"

#include <algorithm>

#include "base/strings.hpp"
#include "http/core_conf.hpp"
#include "http/uri.hpp"
#include "lua/api.hpp"
#include "lua/request_data.hpp"

namespace mp::lua {
namespace {

using http::Captured;
using http::Method;

struct Field {
  std::string_view name;
  std::string_view value;
};

// One subrequest as it was asked for. Everything is in the arena of the parent.
struct Wanted {
  std::string_view uri;
  std::string_view args;
  Method method = Method::get;
  bool has_body = false;
  std::string_view body;
  bool always_forward_body = false;
  bool share_all_vars = false;
  bool copy_all_vars = false;
  Field* vars = nullptr;
  std::size_t var_count = 0;
  Field* headers = nullptr;
  std::size_t header_count = 0;
  int ctx = LUA_NOREF;  // in the registry
  Captured* result = nullptr;
};

std::string_view copy_text(lua_State* L, Request& r, int index) {
  return r.arena.copy(text_at(L, index));
}

void read_args(lua_State* L, Request& r, int options, Wanted& wanted) {
  lua_getfield(L, options, "args");
  switch (lua_type(L, -1)) {
    case LUA_TNIL:
      break;
    case LUA_TNUMBER:
    case LUA_TSTRING:
      wanted.args = copy_text(L, r, -1);
      break;
    case LUA_TTABLE:
      lua_getglobal(L, "ngx");
      lua_getfield(L, -1, "encode_args");
      lua_pushvalue(L, -3);
      lua_call(L, 1, 1);
      wanted.args = copy_text(L, r, -1);
      lua_pop(L, 2);
      break;
    default:
      luaL_error(L, "Bad args option value");
  }
  lua_pop(L, 1);
}

// A table of names and values; of names and lists of values, where they may be `lists`.
void read_fields(lua_State* L, Request& r, int options, const char* name, bool lists, Field*& fields,
                 std::size_t& count) {
  lua_getfield(L, options, name);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return;
  }
  if (!lua_istable(L, -1)) luaL_error(L, "Bad %s option value", name);
  std::size_t room = 0;
  const int table = lua_gettop(L);
  auto add = [&](std::string_view key, std::string_view value) {
    if (count == room) {
      room = room == 0 ? 8 : room * 2;
      Field* larger = r.arena.array<Field>(room);
      std::copy(fields, fields + count, larger);
      fields = larger;
    }
    fields[count++] = {key, value};
  };
  lua_pushnil(L);
  while (lua_next(L, table) != 0) {
    if (lua_type(L, -2) != LUA_TSTRING) {
      luaL_error(L, "attempt to use a non-string key in the \"vars\" option table");
    }
    const std::string_view key = copy_text(L, r, -2);
    switch (!lists && lua_istable(L, -1) ? LUA_TNONE : lua_type(L, -1)) {
      case LUA_TNUMBER:
      case LUA_TSTRING:
        lua_pushvalue(L, -1);
        add(key, copy_text(L, r, -1));
        lua_pop(L, 1);
        break;
      case LUA_TTABLE:
        for (int i = 1, n = static_cast<int>(lua_objlen(L, -1)); i <= n; ++i) {
          lua_rawgeti(L, -1, i);
          add(key, copy_text(L, r, -1));
          lua_pop(L, 1);
        }
        break;
      default:
        luaL_error(L, "attempt to use bad variable value type %s", luaL_typename(L, -1));
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

bool read_flag(lua_State* L, int options, const char* name) {
  lua_getfield(L, options, name);
  if (!lua_isnil(L, -1) && !lua_isboolean(L, -1)) luaL_error(L, "Bad %s option value", name);
  const bool value = lua_toboolean(L, -1) != 0;
  lua_pop(L, 1);
  return value;
}

void read_options(lua_State* L, Request& r, int options, Wanted& wanted) {
  read_args(L, r, options, wanted);
  read_fields(L, r, options, "vars", false, wanted.vars, wanted.var_count);
  read_fields(L, r, options, "headers", true, wanted.headers, wanted.header_count);
  wanted.share_all_vars = read_flag(L, options, "share_all_vars");
  wanted.copy_all_vars = read_flag(L, options, "copy_all_vars");
  lua_getfield(L, options, "always_forward_body");
  wanted.always_forward_body = lua_toboolean(L, -1) != 0;
  lua_pop(L, 1);
  lua_getfield(L, options, "method");
  if (!lua_isnil(L, -1)) {
    if (lua_type(L, -1) != LUA_TNUMBER) luaL_error(L, "Bad http request method");
    wanted.method = static_cast<Method>(lua_tointeger(L, -1));
    if (http::method_name(wanted.method).empty()) {
      log::error(r.logger, "unsupported HTTP method: {}", static_cast<int>(lua_tointeger(L, -1)));
      luaL_error(L, "failed to adjust the subrequest: %d", kError);
    }
  }
  lua_pop(L, 1);
  lua_getfield(L, options, "body");
  if (!lua_isnil(L, -1)) {
    if (lua_isstring(L, -1) == 0) luaL_error(L, "Bad http request body");
    wanted.has_body = true;
    wanted.body = copy_text(L, r, -1);
  }
  lua_pop(L, 1);
  lua_getfield(L, options, "ctx");
  if (!lua_isnil(L, -1)) {
    if (!lua_istable(L, -1)) {
      luaL_error(L, "Bad ctx option value type %s, expected a Lua table", luaL_typename(L, -1));
    }
    wanted.ctx = luaL_ref(L, LUA_REGISTRYINDEX);
  } else {
    lua_pop(L, 1);
  }
}

// Whether the configuration has the variables that are to be set; logs which not. 0, or the code for the
// error.
int check_variables(Request& r, const Wanted& wanted) {
  for (std::size_t i = 0; i < wanted.var_count; ++i) {
    const std::string_view name = wanted.vars[i].name;
    const auto* variable = r.conf<http::CoreMain>().variables.find(lower(r.arena, name));
    if (variable == nullptr) {
      log::error(r.logger,
                 "variable \"{}\" cannot be assigned a value (maybe you forgot to define it first?) ", name);
      return kError;
    }
    if (!variable->changeable) {
      log::error(r.logger, "variable \"{}\" not changeable", name);
      return 500;
    }
  }
  return kOk;
}

// The query on top of the stack: {uri, options?}.
void read_query(lua_State* L, Request& r, int index, Wanted& wanted) {
  if (lua_isnil(L, -1)) luaL_error(L, "only array-like tables are allowed");
  if (!lua_istable(L, -1)) {
    luaL_error(L, "the query argument %d is not a table, but a %s", index, luaL_typename(L, -1));
  }
  const std::size_t size = lua_objlen(L, -1);
  if (size != 1 && size != 2) luaL_error(L, "query argument %d expecting one or two arguments", index);
  const int query = lua_gettop(L);
  if (size == 2) {
    lua_rawgeti(L, query, 2);
    if (!lua_istable(L, -1)) {
      luaL_error(L, "expecting table as the 2nd argument for subrequest %d, but got %s", index,
                 luaL_typename(L, -1));
    }
    read_options(L, r, lua_gettop(L), wanted);
    lua_pop(L, 1);
  }
  lua_rawgeti(L, query, 1);
  const std::string_view target = copy_text(L, r, -1);
  const auto parsed = http::parse_internal_uri(r.arena, target);
  if (!parsed) {
    log::error(r.logger, "unsafe URI \"{}\" was detected", target);
    luaL_error(L, "unsafe uri in argument #1: %s", lua_tostring(L, -1));
  }
  lua_pop(L, 1);
  if (r.depth >= http::kMaxSubrequestDepth) {
    log::error(r.logger, "lua subrequests cycle while processing \"{}\"", r.uri);
    luaL_error(L, "failed to issue subrequest: %d", kError);
  }
  if (const int code = check_variables(r, wanted); code != kOk) {
    luaL_error(L, "failed to adjust the subrequest: %d", code);
  }
  wanted.uri = parsed->path;
  wanted.args = parsed->args.empty()  ? wanted.args
                : wanted.args.empty() ? parsed->args
                                      : r.arena.concat(parsed->args, "&", wanted.args);
}

void set_variables(Request& child, const Wanted& wanted) {
  for (std::size_t i = 0; i < wanted.var_count; ++i) {
    const Field& var = wanted.vars[i];
    const auto& variable = *child.conf<http::CoreMain>().variables.find(lower(child.arena, var.name));
    if (variable.set != nullptr) {
      variable.set(child, variable, var.value);
    } else {
      child.set_value(variable, http::Value::of(var.value));
    }
  }
}

// What the subrequest has of the Lua side: the Vm of its parent, and the table that is to be its ngx.ctx.
void prepare_data(Request& child, Vm& vm, const Wanted& wanted) {
  RequestData& data = child.ctx<RequestData>();
  data.vm = &vm;
  if (wanted.ctx == LUA_NOREF) return;
  data.slot = vm.take_slot();
  lua_State* L = vm.state();
  vm.push_request_tables(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, wanted.ctx);
  lua_rawseti(L, -2, Vm::ctx_place(data.slot));
  lua_pop(L, 1);
}

void run_one(Request& parent, Vm& vm, Wanted& wanted) {
  http::SubrequestOptions options;
  options.method = wanted.method;
  options.args = wanted.args;
  options.has_body = wanted.has_body;
  options.body = wanted.body;
  const bool takes_body = wanted.method == Method::post || wanted.method == Method::put;
  options.forward_body = !wanted.has_body && (wanted.always_forward_body || takes_body);
  options.share_variables = wanted.share_all_vars;
  options.copy_variables = wanted.copy_all_vars;
  options.prepare = [&](Request& child) {
    child.status_only_errors = true;
    prepare_data(child, vm, wanted);
    for (std::size_t i = 0; i < wanted.header_count; ++i) {
      bool again = false;
      for (std::size_t k = 0; k < i; ++k)
        again |= equals_nocase(wanted.headers[k].name, wanted.headers[i].name);
      if (again) {
        child.in.add(wanted.headers[i].name, wanted.headers[i].value);
      } else {
        child.in.set(wanted.headers[i].name, wanted.headers[i].value);
      }
    }
    set_variables(child, wanted);
  };
  wanted.result = parent.arena.make<Captured>(http::capture(parent, wanted.uri, options));
}

void push_headers(lua_State* L, const Captured& captured) {
  lua_createtable(L, 0, static_cast<int>(captured.headers.size()));
  for (const http::HeaderField& field : captured.headers) {
    push(L, field.name);
    lua_rawget(L, -2);
    if (lua_isnil(L, -1)) {
      lua_pop(L, 1);
      push(L, field.name);
      push(L, field.value);
      if (field.id == http::HeaderId::content_length) {  // a number here
        lua_pushnumber(L, lua_tonumber(L, -1));
        lua_remove(L, -2);
      }
      lua_rawset(L, -3);
      continue;
    }
    if (!lua_istable(L, -1)) {
      lua_createtable(L, 2, 0);
      lua_insert(L, -2);
      lua_rawseti(L, -2, 1);
      push(L, field.name);
      lua_pushvalue(L, -2);
      lua_rawset(L, -4);
    }
    push(L, field.value);
    lua_rawseti(L, -2, static_cast<int>(lua_objlen(L, -2)) + 1);
    lua_pop(L, 1);
  }
}

void push_result(lua_State* L, const Captured& captured) {
  lua_createtable(L, 0, 4);
  lua_pushinteger(L, captured.status);
  lua_setfield(L, -2, "status");
  lua_pushboolean(L, captured.truncated);
  lua_setfield(L, -2, "truncated");
  push(L, captured.body);
  lua_setfield(L, -2, "body");
  push_headers(L, captured);
  lua_setfield(L, -2, "header");
}

// Counts the subrequests that a light thread waits for, while it does.
class Pending {
 public:
  Pending(LightThread& thread, int count) : thread_(thread), count_(count) {
    thread_.pending_subrequests += count_;
  }
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;
  ~Pending() { thread_.pending_subrequests -= count_; }

 private:
  LightThread& thread_;
  int count_;
};

void release_contexts(lua_State* L, std::span<Wanted> wanted) {
  for (Wanted& one : wanted) luaL_unref(L, LUA_REGISTRYINDEX, one.ctx);
}

void run_all(Request& r, std::span<Wanted> wanted) {
  LightThread& me = *self();
  Vm& vm = me.run->vm;
  struct Contexts {
    lua_State* L;
    std::span<Wanted> wanted;
    ~Contexts() { release_contexts(L, wanted); }
  } contexts{vm.state(), wanted};
  const Pending pending(me, static_cast<int>(wanted.size()));
  fiber::Group group;
  for (Wanted& one : wanted) {
    group.spawn([&r, &vm, &one] {
      fiber::yield();  // the threads that are ready go first
      run_one(r, vm, one);
    });
  }
  group.wait();
}

// capture_multi({{uri, options?}, ...}): one result each. Parks until all have ended.
int capture_multi(lua_State* L) {
  const int count = lua_gettop(L);
  if (count != 1) return luaL_error(L, "only one argument is expected, but got %d", count);
  luaL_checktype(L, 1, LUA_TTABLE);
  const std::size_t size = lua_objlen(L, 1);
  if (size == 0) return luaL_error(L, "at least one subrequest should be specified");
  Request* const now = request();
  if (now == nullptr) return luaL_error(L, "no request object found");
  Request& r = *now;
  check_context(L, kRequestPhases);
  const std::span<Wanted> wanted(r.arena.array<Wanted>(size), size);
  for (std::size_t i = 0; i < size; ++i) {
    lua_rawgeti(L, 1, static_cast<int>(i) + 1);
    read_query(L, r, static_cast<int>(i), wanted[i]);
    lua_pop(L, 1);
  }
  luaL_checkstack(L, static_cast<int>(size), "too many subrequests");
  run_all(r, wanted);
  for (const Wanted& one : wanted) {
    if (one.result == nullptr) return luaL_error(L, "subrequest cancelled");
    push_result(L, *one.result);
  }
  return static_cast<int>(size);
}

int capture(lua_State* L) {
  const int count = lua_gettop(L);
  if (count != 1 && count != 2) return luaL_error(L, "expecting one or two arguments");
  lua_createtable(L, count, 0);
  lua_insert(L, 1);
  if (count == 2) lua_rawseti(L, 1, 2);
  lua_rawseti(L, 1, 1);
  lua_createtable(L, 1, 0);
  lua_insert(L, 1);
  lua_rawseti(L, 1, 1);
  return capture_multi(L);
}

constexpr luaL_Reg kFunctions[] = {{"capture", waits<capture>}, {"capture_multi", waits<capture_multi>}};

}  // namespace

extern const Group kSubrequestGroup = {"subrequest", kFunctions};

}  // namespace mp::lua
