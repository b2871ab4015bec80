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

constexpr luaL_Reg kFunctions[] = {{"set", set}};

}  // namespace

extern const Group kArgGroup = {"arg", kFunctions};

}  // namespace mp::lua

extern "C" {

// ngx.arg[index]: 0 nil, 1 the text in `out`, 2 false, 3 true; or why it may not be asked for here.
int mp_arg_get(int index, mp::lua::Str* out) {
  mp::lua::Request* r = nullptr;
  if (const int rc = mp::lua::usable(r, mp::lua::kSet | mp::lua::kBodyFilter); rc != mp::lua::kOk) return rc;
  const auto* data = r->find_ctx<mp::lua::RequestData>();
  if (data == nullptr) return mp::lua::kBadContext;
  if (mp::lua::context() == mp::lua::kSet) {
    if (index < 1 || static_cast<std::size_t>(index) > data->set_args.size()) return 0;
    const std::string_view text = data->set_args[static_cast<std::size_t>(index) - 1];
    *out = mp::lua::str(text);
    return text.empty() ? 0 : 1;
  }
  const mp::lua::BodyFilterArgs* args = data->filter_args;
  if (args == nullptr) return mp::lua::kBadContext;
  if (index == 1) *out = mp::lua::str(args->body);
  return index == 1 ? 1 : index != 2 ? 0 : args->last ? 3 : 2;
}
}
