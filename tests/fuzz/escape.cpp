// Escaping and base 64 on any bytes: sizes are exact, and what was encoded decodes to the same bytes.
#include "base/escape.hpp"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/base64.hpp"

using namespace mp;

namespace {

void check_uri_sets(std::string_view text) {
  for (std::size_t i = 0; i < kUriEscapeCount; ++i) {
    const auto set = static_cast<UriEscape>(i);
    std::string escaped(escaped_uri_size(text, set), '\0');
    char* const end = escape_uri_into(escaped.data(), text, set);
    assert(end == escaped.data() + escaped.size());
    if (escaped_uri_size("%", set) != 3) continue;
    const Unescaped back = unescape_uri_into(escaped.data(), escaped, Unescape::all);
    assert(std::string_view(escaped.data(), static_cast<std::size_t>(back.end - escaped.data())) == text);
  }
}

void check_unescape(std::string_view text) {
  for (const Unescape mode : {Unescape::all, Unescape::uri, Unescape::redirect}) {
    std::string out(text.size(), '\0');
    const Unescaped result = unescape_uri_into(out.data(), text, mode);
    assert(result.end <= out.data() + out.size() && result.consumed <= text.size());
    std::string in_place(text);
    const Unescaped same = unescape_uri_into(in_place.data(), in_place, mode);
    assert(same.consumed == result.consumed);
    assert(std::string_view(in_place.data(), static_cast<std::size_t>(same.end - in_place.data())) ==
           std::string_view(out.data(), static_cast<std::size_t>(result.end - out.data())));
  }
  std::string form(text);
  char* const end = unescape_form_into(form.data(), form);
  assert(end <= form.data() + form.size());
}

void check_base64(std::string_view text) {
  std::string encoded(base64_size(text.size()), '\0');
  char* const end = base64_into(encoded.data(), text);
  assert(end == encoded.data() + encoded.size());
  std::string decoded(base64_decoded_room(encoded.size()), '\0');
  const auto back = decode_base64_into(decoded.data(), encoded);
  assert(back && std::string_view(decoded.data(), static_cast<std::size_t>(*back - decoded.data())) == text);

  std::string raw(base64_decoded_room(text.size()), '\0');
  for (const auto decode : {decode_base64_into, decode_base64url_into, decode_base64_mime_into}) {
    const auto written = decode(raw.data(), text);
    assert(!written || *written <= raw.data() + raw.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_uri_sets(text);
  check_unescape(text);
  check_base64(text);
  Arena arena;
  assert(escape_html(arena, text).size() == escaped_html_size(text));
  assert(escape_json(arena, text).size() == escaped_json_size(text));
  assert(escape_log(arena, text).size() == escaped_log_size(text));
  return 0;
}
