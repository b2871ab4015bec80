// Phase 7, access. Who may have this. `satisfy` says whether all must agree or one is enough.
#include <vector>

#include "lua/hooks/hooks.hpp"
#include "phases/07_access/access_modules.hpp"
#include "phases/phases.hpp"

namespace mp::phases {
namespace {

const std::vector<http::Handler> kOrder = {
    lua::lua_access_first,  // only with access_by_lua_no_postpone
    check_address,          // cheapest, no I/O
    check_password_of,
    check_by_subrequest,  // waits
    lua::lua_access,      // last: Lua sees what native rules left undecided
};

}  // namespace

const std::span<const http::Handler> kAccess = kOrder;

}  // namespace mp::phases
