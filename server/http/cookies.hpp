// Reading the Cookie fields of a request (RFC 6265 section 5.4).
#pragma once

#include <optional>
#include <string_view>

#include "http/headers.hpp"

namespace mp::http {

// The value of the first cookie of that name, compared without case, in any Cookie field.
std::optional<std::string_view> find_cookie(const Headers& headers, std::string_view name);

}  // namespace mp::http
