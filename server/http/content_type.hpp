// The media type of a response by the extension of its URI.
#pragma once

#include <string_view>

namespace mp::http {

class Request;

// A type that came with its charset written in a way of its own: `out.content_type` keeps all of it, to be
// sent as it came.
struct WholeType {
  std::string_view value, type, charset;
};

// Sets request.out.content_type from `types`, or default_type, unless it is set already.
void set_content_type(Request& request);

// Parts "text/html; charset=utf-8" in `out`, unless putting it together again would not give the same bytes.
void part_content_type(Request& request);
// The parts of such a one; null when the response's type is none.
const WholeType* whole_type(const Request& request);

}  // namespace mp::http
