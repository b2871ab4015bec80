// ngx.arg: the parts of the body in body_filter_by_lua, the arguments of set_by_lua.
#include "lua/api.hpp"
#include "lua/hooks/filter_args.hpp"
#include "lua/request_data.hpp"
#include "lua/text.hpp"

namespace mp::lua {
namespace {

BodyFilterArgs& filter_args(lua_State* L) {
  Request& r = check_request(L);
  const RequestData* data = r.find_ctx<RequestData>();
  if (context() != kBodyFilter || data == nullptr || data->filter_args == nullptr) {
    luaL_error(L, "API disabled in the current context");
  }
  return *data->filter_args;
}

// get(index): ngx.arg[index]
int get(lua_State* L) {
  Request& r = check_request(L);
  const int index = static_cast<int>(lua_tointeger(L, 1));
  if (context() == kSet) {
    const auto args = r.find_ctx<RequestData>()->set_args;
    if (index < 1 || static_cast<std::size_t>(index) > args.size()) return 0;
    const std::string_view text = args[static_cast<std::size_t>(index) - 1];
    if (text.empty()) return 0;
    push(L, text);
    return 1;
  }
  const BodyFilterArgs& args = filter_args(L);
  switch (index) {
    case 1:
      push(L, args.body);
      return 1;
    case 2:
      lua_pushboolean(L, args.last);
      return 1;
    default:
      return 0;
  }
}

void set_body(lua_State* L, BodyFilterArgs& args) {
  std::string text;
  switch (lua_type(L, 2)) {
    case LUA_TNIL:
      break;
    case LUA_TSTRING:
    case LUA_TNUMBER:
      text = text_at(L, 2);
      break;
    case LUA_TTABLE:
      append_table(L, 2, 3, Elements::texts, text);
      break;
    default:
      luaL_error(L, "bad chunk data type: %s", luaL_typename(L, 2));
  }
  args.text = std::move(text);
  args.body = args.text;
}

// set(index, value)
int set(lua_State* L) {
  BodyFilterArgs& args = filter_args(L);
  const int index = static_cast<int>(luaL_checkinteger(L, 1));
  lua_settop(L, 2);
  if (index == 1) {
    set_body(L, args);
  } else if (index == 2) {
    args.last = lua_toboolean(L, 2) != 0;
  } else {
    return luaL_error(L, "bad index: %d", index);
  }
  return 0;
}

constexpr luaL_Reg kFunctions[] = {{"get", get}, {"set", set}};

}  // namespace

extern const Group kArgGroup = {"arg", kFunctions};

}  // namespace mp::lua
