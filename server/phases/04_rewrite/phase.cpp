// Phase 4, rewrite. The same directives of the location.
#include <vector>

#include "phases/phases.hpp"

namespace mp::phases {
namespace {

const std::vector<http::Handler> kOrder = {
};

}  // namespace

const std::span<const http::Handler> kRewrite = kOrder;

}  // namespace mp::phases
