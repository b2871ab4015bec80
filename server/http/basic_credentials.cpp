#include "http/basic_credentials.hpp"

#include "base/base64.hpp"
#include "base/strings.hpp"
#include "http/request.hpp"

namespace mp::http {

std::optional<BasicCredentials> basic_credentials(Request& r) {
  const HeaderField* field = r.in.find(HeaderId::authorization);
  if (field == nullptr || !starts_with_nocase(field->value, "basic ")) return std::nullopt;
  std::string_view coded = field->value.substr(6);
  while (coded.starts_with(' ')) coded.remove_prefix(1);
  const auto decoded = decode_base64(r.arena, coded);
  if (!decoded) return std::nullopt;
  const auto parts = split_once(*decoded, ':');
  if (!parts || parts->first.empty()) return std::nullopt;
  return BasicCredentials{parts->first, parts->second};
}

}  // namespace mp::http
