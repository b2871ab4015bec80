// ngx.config
#include "base/identity.hpp"
#include "conf/configuration.hpp"
#include "conf/process_conf.hpp"
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

// variable(name): what an env directive sets it to; nothing when none does.
int variable(lua_State* L) {
  const std::string_view name = text_at(L, 1);
  const conf::Configuration* configuration = Vm::of(L).configuration();
  if (configuration == nullptr) return 0;
  for (const std::string_view entry : configuration->root().get<conf::ProcessConf>().env) {
    if (entry.size() <= name.size() || !entry.starts_with(name) || entry[name.size()] != '=') continue;
    push(L, entry.substr(name.size() + 1));
    return 1;
  }
  return 0;
}

constexpr luaL_Reg kFunctions[] = {
    {"prefix", prefix}, {"version", version}, {"configure", configure}, {"variable", variable}};

}  // namespace

extern const Group kConfigGroup = {"config", kFunctions};

}  // namespace mp::lua
