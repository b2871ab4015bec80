#include "http/basic_auth.hpp"

#include "base/ascii.hpp"
#include "base/base64.hpp"
#include "http/request.hpp"

namespace mp::http {

std::optional<BasicCredentials> basic_credentials(Request& r) {
  constexpr std::string_view kScheme = "Basic ";
  std::string_view value = r.in.value(HeaderId::authorization);
  if (!starts_with_nocase(value, kScheme)) return std::nullopt;
  value.remove_prefix(kScheme.size());
  while (value.starts_with(' ')) value.remove_prefix(1);
  const auto text = decode_base64(r.arena, value);
  if (!text) return std::nullopt;
  const std::size_t colon = text->find(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  return BasicCredentials{text->substr(0, colon), text->substr(colon + 1)};
}

}  // namespace mp::http
