// The entity tag of a file, from its time and size.
#pragma once

namespace mp::http {

class Request;

// Adds ETag from request.out.last_modified and content_length, when `etag` is on: "TIME-SIZE" in hexadecimal.
void set_etag(Request& request);

}  // namespace mp::http
