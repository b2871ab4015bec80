// Phase 2, server-rewrite. `rewrite`, `set`, `if`, `return` of the server {} block, before a location is
// chosen.
#include <vector>

#include "lua/hooks/hooks.hpp"
#include "phases/04_rewrite/rewrite_module.hpp"
#include "phases/phases.hpp"

namespace mp::phases {
namespace {

const std::vector<http::PhaseRow> kOrder = {
    {lua::lua_server_rewrite,
     lua::wants_server_rewrite},  // sees what the client asked for, before any rewrite
    {run_server_script, wants_server_script},
};

}  // namespace

const std::span<const http::PhaseRow> kServerRewrite = kOrder;

}  // namespace mp::phases
