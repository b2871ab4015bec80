// The name and password of a request's "Authorization: Basic" field.
#pragma once

#include <optional>
#include <string_view>

namespace mp::http {

class Request;

struct BasicCredentials {
  std::string_view user;  // never empty
  std::string_view password;
};

// Nothing when the field is missing, of another scheme, or not well formed. Views live in the request's arena.
std::optional<BasicCredentials> basic_credentials(Request& request);

}  // namespace mp::http
