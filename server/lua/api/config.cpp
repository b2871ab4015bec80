// ngx.config
#include "base/identity.hpp"
#include "lua/api.hpp"
#include "lua/worker_info.hpp"

namespace mp::lua {
namespace {

int prefix(lua_State* L) {
  push(L, Vm::of(L).prefix());
  return 1;
}

int version(lua_State* L) {
  lua_pushinteger(L, kCompatibleVersionNumber);
  return 1;
}

int configure(lua_State* L) {
  push(L, worker_info().configure_arguments);
  return 1;
}

constexpr luaL_Reg kFunctions[] = {{"prefix", prefix}, {"version", version}, {"configure", configure}};

}  // namespace

extern const Group kConfigGroup = {"config", kFunctions};

}  // namespace mp::lua
