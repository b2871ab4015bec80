#include "http/content_type.hpp"

#include "base/strings.hpp"
#include "http/core_conf.hpp"
#include "http/mime.hpp"
#include "http/request.hpp"

namespace mp::http {

void set_content_type(Request& r) {
  if (!r.out.content_type.empty()) return;
  const auto& core = r.conf<CoreLocation>();
  if (!r.exten.empty()) {
    const std::string_view type = core.types->find(r.exten);
    if (!type.empty()) {
      r.out.content_type = type;
      return;
    }
  }
  r.out.content_type = core.default_type.get();
}

void part_content_type(Request& r) {
  const std::string_view value = r.out.content_type;
  for (std::size_t at = value.find(';'); at != std::string_view::npos; at = value.find(';', at + 1)) {
    std::string_view charset = value.substr(at + 1);
    while (charset.starts_with(' ')) charset.remove_prefix(1);
    if (!starts_with_nocase(charset, "charset=")) continue;
    charset.remove_prefix(8);
    if (!charset.empty() && value.substr(at).starts_with("; charset=") && !charset.starts_with('"') &&
        !charset.ends_with('"')) {
      r.out.content_type = value.substr(0, at);
      r.out.charset = charset;
      return;
    }
    if (charset.starts_with('"')) charset.remove_prefix(1);
    if (charset.ends_with('"')) charset.remove_suffix(1);
    r.ctx<WholeType>() = {value, value.substr(0, at), charset};
    return;
  }
}

const WholeType* whole_type(const Request& r) {
  if (r.out.content_type.find(';') == std::string_view::npos) return nullptr;
  const WholeType* whole = r.find_ctx<WholeType>();
  if (whole == nullptr || whole->value.data() != r.out.content_type.data()) return nullptr;
  return whole->value.size() == r.out.content_type.size() ? whole : nullptr;
}

}  // namespace mp::http
