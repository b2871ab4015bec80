// Status codes: their lines, and the words of the stock pages.
#pragma once

#include <string_view>

namespace mp::http {

class Request;

// "404 Not Found" for a registered status the server itself may send; empty for others.
std::string_view status_line(int status);

// Title and heading of the stock page; empty when the status has no page (2xx, 304, 444, 499).
std::string_view status_page_title(int status);
std::string_view status_page_heading(int status);
// What stands between heading and rule: the explanation of 400s of TLS and header size.
std::string_view status_page_extra(int status);

// The name under the rule, as server_tokens wants it.
std::string_view server_name_for_pages(const Request& request);
// The value of the Server field, likewise.
std::string_view server_field(const Request& request);

}  // namespace mp::http
