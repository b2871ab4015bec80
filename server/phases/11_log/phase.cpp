// Phase 11, log. After the response: the access log and Lua.
#include <vector>

#include "lua/hooks/hooks.hpp"
#include "phases/09_precontent/precontent_modules.hpp"
#include "phases/11_log/access_log.hpp"
#include "phases/phases.hpp"

namespace mp::phases {
namespace {

using LogHandler = void (*)(http::Request&);

// The access log writes first what happened; Lua may still use and wait for anything after it.
const std::vector<LogHandler> kOrder = {
    wait_for_mirrors,  // the request is not over before its copies
    write_access_log,
    lua::lua_log,
};

}  // namespace

const std::span<const LogHandler> kLog = kOrder;

}  // namespace mp::phases
