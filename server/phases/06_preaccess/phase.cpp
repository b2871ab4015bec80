// Phase 6, preaccess. Limits that protect the server before it spends anything on a request.
#include <vector>

#include "phases/phases.hpp"

namespace mp::phases {
namespace {

const std::vector<http::Handler> kOrder = {
};

}  // namespace

const std::span<const http::Handler> kPreaccess = kOrder;

}  // namespace mp::phases
