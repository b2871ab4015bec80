// Freshness: what a response says about being kept: Cache-Control, Expires, X-Accel-Expires, Set-Cookie,
// Vary.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/headers.hpp"

namespace mp::upstream {

struct Freshness {
  std::int64_t valid_until = 0;     // Unix seconds; 0: it does not say
  std::int64_t stale_updating = 0;  // stale-while-revalidate
  std::int64_t stale_error = 0;     // stale-if-error
  bool may_keep = true;
  std::string_view vary;  // names of request fields that matter; in the arena of `fields`
};

// `ignored`: IgnoredHeader bits of what has no say.
Freshness judge_freshness(const http::Headers& fields, std::int64_t now, std::uint64_t ignored);

}  // namespace mp::upstream
