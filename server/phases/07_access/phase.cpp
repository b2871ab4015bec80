// Phase 7, access. Who may have this. `satisfy` says whether all must agree or one is enough.
#include <vector>

#include "lua/hooks/hooks.hpp"
#include "phases/phases.hpp"

namespace mp::phases {
namespace {

const std::vector<http::Handler> kOrder = {
    lua::lua_access_first,  // only with access_by_lua_no_postpone
    lua::lua_access,  // last: Lua sees what native rules left undecided
};

}  // namespace

const std::span<const http::Handler> kAccess = kOrder;

}  // namespace mp::phases
