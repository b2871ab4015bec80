// The user and password of a Basic Authorization field (RFC 7617).
#pragma once

#include <optional>
#include <string_view>

namespace mp::http {

class Request;

struct BasicCredentials {
  std::string_view name;  // in the request's arena
  std::string_view password;
};

// Nothing when the field is missing, of another scheme, or broken.
std::optional<BasicCredentials> basic_credentials(Request& request);

}  // namespace mp::http
