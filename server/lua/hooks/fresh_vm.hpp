// A new VM of a configuration, with init_by_lua run in it: one for the configuration, and with
// `lua_code_cache off` one for each request.
#pragma once

#include <memory>

#include "base/result.hpp"
#include "lua/conf.hpp"

namespace mp::lua {

// LuaMain::vm_options is complete. The error's text is ready for the log.
Result<std::unique_ptr<Vm>> fresh_vm(const LuaMain& main);

}  // namespace mp::lua
