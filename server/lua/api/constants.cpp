// ngx.null, which only C can make.
#include "lua/api.hpp"

namespace mp::lua {
namespace {

int null(lua_State* L) {
  lua_pushlightuserdata(L, nullptr);
  return 1;
}

constexpr luaL_Reg kFunctions[] = {{"null", null}};

}  // namespace

extern const Group kConstantsGroup = {"constants", kFunctions};

}  // namespace mp::lua
