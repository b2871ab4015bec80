// Phase 1, post-read. The first look at a request: where it really comes from (realip, PROXY protocol).
#include <vector>

#include "phases/phases.hpp"

namespace mp::phases {
namespace {

const std::vector<http::Handler> kOrder = {
};

}  // namespace

const std::span<const http::Handler> kPostRead = kOrder;

}  // namespace mp::phases
