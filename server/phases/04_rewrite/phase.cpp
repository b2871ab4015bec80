// Phase 4, rewrite. The same directives of the location.
#include <vector>

#include "lua/hooks/hooks.hpp"
#include "phases/04_rewrite/more_input_headers.hpp"
#include "phases/04_rewrite/rewrite_module.hpp"
#include "phases/phases.hpp"

namespace mp::phases {
namespace {

const std::vector<http::PhaseRow> kOrder = {
    {lua::lua_rewrite, lua::wants_rewrite_first},  // only with rewrite_by_lua_no_postpone
    {run_location_script, wants_location_script},
    {change_input_headers, kMoreInputHeadersModule},
    {lua::lua_rewrite, lua::wants_rewrite},  // after the script, so that Lua sees its variables
};

}  // namespace

const std::span<const http::PhaseRow> kRewrite = kOrder;

}  // namespace mp::phases
