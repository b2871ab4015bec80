// The value of a $http_name-like variable: every field of that name, joined.
#pragma once

#include <string_view>

#include "http/headers.hpp"
#include "http/variables.hpp"

namespace mp::http {

// `name` with '_' for '-': "user_agent". Cookie fields are joined by "; ", others by ", ".
Value joined_fields(const Headers& headers, std::string_view name);

}  // namespace mp::http
