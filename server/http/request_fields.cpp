#include "http/request_fields.hpp"

#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"
#include "http/uri_authority.hpp"

namespace mp::http {
namespace {

bool set_host(Request& r, std::string_view value) {
  if (value.empty()) {
    r.host = {};
    r.host_port = 0;
  } else {
    const auto parsed = parse_host(r.arena, value);
    if (!parsed) return false;
    r.host = parsed->name;
    r.host_port = parsed->port;
  }
  if (const Variable* variable = r.conf<CoreMain>().variables.find("host")) r.forget_value(*variable);
  return true;
}

bool set_content_length(Request& r, std::string_view value) {
  if (value.empty()) {
    r.content_length_in = -1;
    return true;
  }
  const auto length = parse_natural<std::int64_t>(value);
  if (!length) return false;
  r.content_length_in = *length;
  return true;
}

}  // namespace

bool follow_request_field(Request& r, HeaderId id, std::string_view value) {
  switch (id) {
    case HeaderId::host:
      return set_host(r, value);
    case HeaderId::content_length:
      return set_content_length(r, value);
    case HeaderId::connection:
      if (list_contains(value, "close")) r.keepalive = false;
      return true;
    default:
      return true;
  }
}

}  // namespace mp::http
