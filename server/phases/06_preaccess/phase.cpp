// Phase 6, preaccess. Limits that protect the server before it spends anything on a request.
#include <vector>

#include "phases/01_post_read/realip_module.hpp"
#include "phases/06_preaccess/limit_modules.hpp"
#include "phases/phases.hpp"

namespace mp::phases {
namespace {

const std::vector<http::PhaseRow> kOrder = {
    {find_real_address, kRealipModule},     // by the location's settings, when the server's said nothing
    {limit_requests, kLimitReqModule},      // may wait
    {limit_connections, kLimitConnModule},  // after it: a request that waits takes no place among them
};

}  // namespace

const std::span<const http::PhaseRow> kPreaccess = kOrder;

}  // namespace mp::phases
