// The media type of a response by the extension of its URI.
#pragma once

namespace mp::http {

class Request;

// Sets request.out.content_type from `types`, or default_type, unless it is set already.
void set_content_type(Request& request);

}  // namespace mp::http
