// Phase 1, post-read. The first look at a request: where it really comes from (realip, PROXY protocol).
#include <vector>

#include "phases/01_post_read/realip_module.hpp"
#include "phases/phases.hpp"

namespace mp::phases {
namespace {

const std::vector<http::PhaseRow> kOrder = {
    {find_real_address, kRealipModule},  // before anything looks at the client's address
};

}  // namespace

const std::span<const http::PhaseRow> kPostRead = kOrder;

}  // namespace mp::phases
