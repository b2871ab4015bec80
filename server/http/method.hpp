// Method: the request methods that some code treats specially, as bits, so that sets of them
// (limit_except, dav_methods) are masks; the values are those of the Lua API (ngx.HTTP_*).
// Any other token is Method::other and travels as text.
#pragma once

#include <cstdint>
#include <string_view>

namespace mp::http {

enum class Method : std::uint32_t {
  other = 1u << 0,
  get = 1u << 1,
  head = 1u << 2,
  post = 1u << 3,
  put = 1u << 4,
  delete_ = 1u << 5,
  mkcol = 1u << 6,
  copy = 1u << 7,
  move = 1u << 8,
  options = 1u << 9,
  propfind = 1u << 10,
  proppatch = 1u << 11,
  lock = 1u << 12,
  unlock = 1u << 13,
  patch = 1u << 14,
  trace = 1u << 15,
  connect = 1u << 16,
};

using MethodSet = std::uint32_t;

constexpr bool contains(MethodSet set, Method method) {
  return (set & static_cast<MethodSet>(method)) != 0;
}

// Case-sensitive, as methods are; Method::other for anything not listed.
Method parse_method(std::string_view name);

// "GET"; empty for Method::other.
std::string_view method_name(Method method);

}  // namespace mp::http
