// Hands ngx.shared the dictionaries of the Vm's configuration. Everything else is in server/lua/shdict.
#include "conf/configuration.hpp"
#include "lua/api.hpp"
#include "lua/shdict/module.hpp"

namespace mp::lua {
namespace {

// set(): what lua/moonphase/api/shdict.lua makes ngx.shared from; nothing when the Vm has no configuration.
int dictionaries(lua_State* L) {
  const conf::Configuration* configuration = Vm::of(L).configuration();
  if (configuration == nullptr) return 0;
  conf::ConfSet* main = configuration->root()[conf::Level::main];
  if (main == nullptr) return 0;
  lua_pushlightuserdata(L, &main->get<ShdictConf>().dicts);
  return 1;
}

constexpr luaL_Reg kFunctions[] = {
    {"set", dictionaries},
};

}  // namespace

extern const Group kShdictGroup = {"shdict", kFunctions};

}  // namespace mp::lua
