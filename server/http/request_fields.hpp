// What else of a request follows one of its header fields, for those who change fields while it is served.
#pragma once

#include <string_view>

#include "http/header_id.hpp"

namespace mp::http {

class Request;

// Host name, length of the body, persistence. An empty value stands for a field that is taken away. False:
// the value makes no sense, and nothing was changed.
bool follow_request_field(Request& request, HeaderId id, std::string_view value);

}  // namespace mp::http
