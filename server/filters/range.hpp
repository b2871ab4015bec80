// Byte ranges (RFC 9110 section 14): Range and If-Range, single and multipart/byteranges responses.
#pragma once

namespace mp::http {
class Request;
}

namespace mp::filters {

void range(http::Request& request);

}  // namespace mp::filters
