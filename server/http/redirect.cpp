#include "http/redirect.hpp"

#include "base/numbers.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"

namespace mp::http {

std::string_view scheme_of(const Request& r) {
  return r.connection.carrier->ssl != nullptr ? "https" : "http";
}

std::string_view absolute_location(Request& r, std::string_view location) {
  const auto& core = r.conf<CoreLocation>();
  if (location.empty() || location.front() != '/' || !core.absolute_redirect) return location;
  std::string_view host;
  if (core.server_name_in_redirect) {
    host = r.conf<CoreServer>().first_name;
  } else if (!r.host.empty()) {
    host = r.host;
  } else {
    host = r.connection.local().text(r.arena);
  }
  const int port = r.connection.local().port();
  const std::string_view scheme = scheme_of(r);
  const bool default_port = port == 0 || port == (scheme == "https" ? 443 : 80);
  std::string_view port_text;
  if (core.port_in_redirect && !default_port)
    port_text = r.arena.concat(":", std::string_view(std::to_string(port)));
  return r.arena.concat(scheme, "://", host, port_text, location);
}

namespace {

[[gnu::noinline]] void make_absolute(Request& r, HeaderField& field) {
  const std::string_view url = absolute_location(r, field.value);
  if (url.data() == field.value.data()) return;
  field.name = header_name(HeaderId::location);
  field.value = url;
  r.ctx<LocalRedirect>();
}

}  // namespace

void finish_location(Request& r) {
  if (r.is_sub()) return;
  for (HeaderField& field : r.out.headers) {
    if (field.id != HeaderId::location) continue;
    if (field.value.starts_with('/')) make_absolute(r, field);
    return;
  }
}

}  // namespace mp::http
