// Byte ranges (RFC 9110 section 14): Range and If-Range, single and multipart/byteranges responses.
#pragma once

#include <cstdint>

namespace mp::http {
class Request;
}

namespace mp::filters {

// Given for a body that is a part of the whole whose head was made (slices): the part begins at `offset`.
struct PartialBody {
  std::int64_t offset = 0;
};

// The one range that goes to the client; in the main request, where the slices behind the first find it.
struct ChosenRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

void range(http::Request& request);

}  // namespace mp::filters
