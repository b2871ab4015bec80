// Phase 1, post-read. The first look at a request: where it really comes from (realip, PROXY protocol).
#include <vector>

#include "http/edge_module.hpp"
#include "phases/01_post_read/realip_module.hpp"
#include "phases/phases.hpp"

namespace mp::phases {
namespace {

const std::vector<http::PhaseRow> kOrder = {
    {http::read_early_body, http::kEdgeModule},  // before anything else, so that all may look at the body
    {find_real_address, kRealipModule},          // before anything looks at the client's address
};

}  // namespace

const std::span<const http::PhaseRow> kPostRead = kOrder;

}  // namespace mp::phases
