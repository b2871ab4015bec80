// Phase 6, preaccess. Limits that protect the server before it spends anything on a request.
#include <vector>

#include "phases/01_post_read/realip_module.hpp"
#include "phases/06_preaccess/limit_modules.hpp"
#include "phases/phases.hpp"

namespace mp::phases {
namespace {

const std::vector<http::Handler> kOrder = {
    find_real_address,  // by the location's settings, when the server's said nothing
    limit_requests,     // may wait
    limit_connections,  // after it: a request that waits takes no place among the connections
};

}  // namespace

const std::span<const http::Handler> kPreaccess = kOrder;

}  // namespace mp::phases
