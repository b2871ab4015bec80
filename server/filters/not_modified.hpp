// Conditional requests (RFC 9110 section 13): If-Match, If-Unmodified-Since, If-None-Match,
// If-Modified-Since.
#pragma once

namespace mp::http {
class Request;
}

namespace mp::filters {

// Turns a 200 into 304 or 412 when the conditions of the request say so.
void not_modified(http::Request& request);

}  // namespace mp::filters
