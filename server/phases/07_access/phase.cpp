// Phase 7, access. Who may have this. `satisfy` says whether all must agree or one is enough.
#include <vector>

#include "phases/phases.hpp"

namespace mp::phases {
namespace {

const std::vector<http::Handler> kOrder = {
};

}  // namespace

const std::span<const http::Handler> kAccess = kOrder;

}  // namespace mp::phases
