// Phase 10, content. Who makes the response when the location names no handler of its own.
#include <vector>

#include "phases/phases.hpp"

namespace mp::phases {
namespace {

const std::vector<http::Handler> kOrder = {
};

}  // namespace

const std::span<const http::Handler> kContent = kOrder;

}  // namespace mp::phases
