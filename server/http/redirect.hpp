// Absolute URLs for redirects that the server makes up itself.
#pragma once

#include <string_view>

namespace mp::http {

class Request;

// "https" when the client speaks TLS, which on an address for it not every one does.
std::string_view scheme_of(const Request& request);

// `location` with scheme, host and port in front when it begins with '/' and absolute_redirect is on; RFC
// 9110 10.2.2 allows both forms. server_name_in_redirect and port_in_redirect say which host and port.
std::string_view absolute_location(Request& request, std::string_view location);

// Set when finish_location() made the response's Location absolute: it then stands before the fields of the
// connection, as in nginx.
struct LocalRedirect {};

// Header filter, the last that may see it: a Location of this server's own that begins with '/' becomes
// absolute. Those that others chose to be relative (upstreams, Lua) carry HeaderId::unknown.
void finish_location(Request& request);

}  // namespace mp::http
