// Phase 9, precontent. Last decisions before the content: srcache, try_files, mirror.
#include <vector>

#include "lua/hooks/hooks.hpp"
#include "phases/09_precontent/precontent_modules.hpp"
#include "phases/phases.hpp"

namespace mp::phases {
namespace {

const std::vector<http::Handler> kOrder = {
    fetch_from_srcache,         // what is cached needs no decision any more
    lua::lua_precontent_first,  // only with precontent_by_lua_no_postpone
    try_files,
    mirror_request,  // of what is going to be served
    lua::lua_precontent,
};

}  // namespace

const std::span<const http::Handler> kPrecontent = kOrder;

}  // namespace mp::phases
