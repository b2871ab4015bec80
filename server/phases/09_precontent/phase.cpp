// Phase 9, precontent. Last decisions before the content: srcache, try_files, mirror.
#include <vector>

#include "filters/srcache.hpp"
#include "lua/hooks/hooks.hpp"
#include "phases/09_precontent/precontent_modules.hpp"
#include "phases/phases.hpp"

namespace mp::phases {
namespace {

const std::vector<http::PhaseRow> kOrder = {
    {fetch_from_srcache, filters::kSrcacheModule},       // what is cached needs no decision any more
    {lua::lua_precontent, lua::wants_precontent_first},  // only with precontent_by_lua_no_postpone
    {try_files, kTryFilesModule},
    {mirror_request, kMirrorModule},  // of what is going to be served
    {lua::lua_precontent, lua::wants_precontent},
};

}  // namespace

const std::span<const http::PhaseRow> kPrecontent = kOrder;

}  // namespace mp::phases
