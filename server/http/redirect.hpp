// Absolute URLs for redirects that the server makes up itself.
#pragma once

#include <string_view>

namespace mp::http {

class Request;

// `location` with scheme, host and port in front when it begins with '/' and absolute_redirect is on; RFC
// 9110 10.2.2 allows both forms. server_name_in_redirect and port_in_redirect say which host and port.
std::string_view absolute_location(Request& request, std::string_view location);

}  // namespace mp::http
