// Phase 2, server-rewrite. `rewrite`, `set`, `if`, `return` of the server {} block, before a location is chosen.
#include <vector>

#include "phases/phases.hpp"

namespace mp::phases {
namespace {

const std::vector<http::Handler> kOrder = {
};

}  // namespace

const std::span<const http::Handler> kServerRewrite = kOrder;

}  // namespace mp::phases
