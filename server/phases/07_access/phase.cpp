// Phase 7, access. Who may have this. `satisfy` says whether all must agree or one is enough.
#include <vector>

#include "lua/hooks/hooks.hpp"
#include "phases/07_access/access_modules.hpp"
#include "phases/phases.hpp"

namespace mp::phases {
namespace {

const std::vector<http::PhaseRow> kOrder = {
    {lua::lua_access, lua::wants_access_first},  // only with access_by_lua_no_postpone
    {check_address, kAddressModule},             // cheapest, no I/O
    {check_password_of, kAuthBasicModule},       // may need a thread
    {check_by_subrequest, kAuthRequestModule},   // waits
    {lua::lua_access, lua::wants_access},        // last: Lua sees what native rules left undecided
};

}  // namespace

const std::span<const http::PhaseRow> kAccess = kOrder;

}  // namespace mp::phases
