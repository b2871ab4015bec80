#include "http/cookies.hpp"

#include "base/strings.hpp"

namespace mp::http {

std::optional<std::string_view> find_cookie(const Headers& headers, std::string_view name) {
  for (const HeaderField& field : headers) {
    if (field.id != HeaderId::cookie) continue;
    for (std::string_view pair : split(field.value, ';')) {
      const std::size_t equals = pair.find('=');
      if (equals == std::string_view::npos) continue;
      if (equals_nocase(trim(pair.substr(0, equals)), name)) return trim(pair.substr(equals + 1));
    }
  }
  return std::nullopt;
}

}  // namespace mp::http
