// The entity tag of a file, from its time and size.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mp::http {

class Request;

// Adds ETag from request.out.last_modified and content_length, when `etag` is on: "TIME-SIZE" in hexadecimal.
void set_etag(Request& request);

// Writes that tag, of at most kMaxEtag bytes; returns its end.
inline constexpr std::size_t kMaxEtag = 2 * 16 + 3;
char* write_etag(char* out, std::int64_t last_modified, std::int64_t size);

}  // namespace mp::http
