#include "http/redirect.hpp"

#include "base/numbers.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"

namespace mp::http {

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
  const bool default_port = port == 0 || port == (r.connection.is_tls ? 443 : 80);
  std::string_view port_text;
  if (core.port_in_redirect && !default_port)
    port_text = r.arena.concat(":", std::string_view(std::to_string(port)));
  return r.arena.concat(r.connection.is_tls ? "https" : "http", "://", host, port_text, location);
}

void finish_location(Request& r) {
  if (r.is_sub()) return;
  const HeaderField* field = r.out.headers.find(HeaderId::location);
  if (field == nullptr || !field->value.starts_with('/')) return;
  const std::string_view url = absolute_location(r, field->value);
  if (url.data() == field->value.data()) return;
  const_cast<HeaderField*>(field)->name = header_name(HeaderId::location);
  const_cast<HeaderField*>(field)->value = url;
  r.ctx<LocalRedirect>();
}

}  // namespace mp::http
