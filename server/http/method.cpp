#include "http/method.hpp"

#include <array>

namespace mp::http {
namespace {

struct Row {
  std::string_view name;
  Method method;
};

constexpr std::array<Row, 16> kMethods = {{
    {"GET", Method::get},
    {"HEAD", Method::head},
    {"POST", Method::post},
    {"PUT", Method::put},
    {"DELETE", Method::delete_},
    {"OPTIONS", Method::options},
    {"PATCH", Method::patch},
    {"MKCOL", Method::mkcol},
    {"COPY", Method::copy},
    {"MOVE", Method::move},
    {"PROPFIND", Method::propfind},
    {"PROPPATCH", Method::proppatch},
    {"LOCK", Method::lock},
    {"UNLOCK", Method::unlock},
    {"TRACE", Method::trace},
    {"CONNECT", Method::connect},
}};

}  // namespace

Method parse_method(std::string_view name) {
  if (name == "GET") return Method::get;
  for (const Row& row : kMethods) {
    if (row.name == name) return row.method;
  }
  return Method::other;
}

std::string_view method_name(Method method) {
  for (const Row& row : kMethods) {
    if (row.method == method) return row.name;
  }
  return {};
}

}  // namespace mp::http
