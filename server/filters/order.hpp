// The header filters in running order. A filter that also changes the body adds a stage to the request's body
// pipeline, so body stages run in this order too.
#pragma once

#include <span>

#include "http/plan.hpp"

namespace mp::filters {

extern const std::span<const http::FilterRow> kHeaderFilters;

}  // namespace mp::filters
