// Response: the head of what a request is going to answer, open to change until it is sent.
#pragma once

#include <cstdint>
#include <ctime>
#include <string_view>

#include "http/headers.hpp"

namespace mp::http {

struct Response {
  explicit Response(Arena& arena) : headers(arena), trailers(arena) {}

  int status = 0;                    // 0: none yet, sent as 200
  std::string_view status_line;      // "299 Something" when an upstream or a script chose its own words
  Headers headers;                   // everything but the fields below
  Headers trailers;                  // sent after a chunked body when the client allows
  std::string_view content_type;     // without charset when `charset` is set
  std::string_view charset;          // appended as "; charset=..."
  std::int64_t content_length = -1;  // -1: unknown, the body ends as the protocol says
  std::time_t last_modified = -1;    // -1: no Last-Modified field
  bool allow_ranges = false;         // the handler can serve byte ranges of this response
  bool single_range = false;         // ... but only one at a time, in the order it comes
  bool conditional = true;           // If-Modified-Since and the like are for this server to answer
  bool weak_etag = false;
  bool chunk_allowed = true;
  std::string_view override_charset;  // X-Accel-Charset: what the charset filter shall take the body for

  // Makes it empty again, for an internal redirect or an error page in its place.
  void clear() {
    status = 0;
    status_line = content_type = charset = override_charset = {};
    headers.clear();
    trailers.clear();
    content_length = -1;
    last_modified = -1;
    allow_ranges = single_range = weak_etag = false;
    chunk_allowed = conditional = true;
  }
};

}  // namespace mp::http
