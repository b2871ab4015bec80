// limit_rate: how fast a response may leave.
#pragma once

#include <cstddef>
#include <cstdint>

#include "http/core_conf.hpp"
#include "http/request.hpp"

namespace mp::http {

// Bytes a second that this response may take, 0: as many as fit. Settled on the first call from $limit_rate,
// an upstream's wish, or limit_rate.
std::int64_t find_rate_limit(Request& request);
inline std::int64_t rate_limit(Request& request) {
  if (request.limit_rate >= 0) return request.limit_rate;
  if (request.conf<CoreLocation>().limit_rate->empty()) [[likely]]
    return request.limit_rate = 0;
  return find_rate_limit(request);
}

// How many of `wanted` bytes may be sent now, when `sent` have been; parks until it is at least one.
std::size_t wait_for_rate(Request& request, std::size_t wanted, std::uint64_t sent);

}  // namespace mp::http
