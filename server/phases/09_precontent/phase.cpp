// Phase 9, precontent. Last decisions before the content: try_files, mirror.
#include <vector>

#include "phases/phases.hpp"

namespace mp::phases {
namespace {

const std::vector<http::Handler> kOrder = {
};

}  // namespace

const std::span<const http::Handler> kPrecontent = kOrder;

}  // namespace mp::phases
