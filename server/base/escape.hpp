// Escaping and unescaping: URIs (RFC 3986, with nginx's and OpenResty's choice of characters), HTML,
// JSON and log lines. Each kind has three forms: the exact size of the result, writing it into the
// caller's buffer (returns the end), and a view in an Arena (the text itself when nothing changes).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/arena.hpp"

namespace mp {

// Which characters become %XX. The first seven are the server's own; the lua_* sets are those of
// ngx.escape_uri and of header values set from Lua, which differ in a few characters.
enum class UriEscape : std::uint8_t {
  uri,            // a path or whole URI
  args,           // one argument inside a query
  uri_component,  // everything but unreserved characters
  html,           // a URI inside an HTML attribute
  refresh,        // a URI inside a Refresh header
  memcached,      // a memcached key: blanks, controls and '%'
  mail_auth,
  lua_uri,
  lua_args,
  lua_component,
  lua_html,
  lua_refresh,
  lua_memcached,
  lua_mail_auth,
  lua_header_name,
  lua_header_value,
};
inline constexpr std::size_t kUriEscapeCount = 16;

// The set for the number that ngx.escape_uri(text, type) takes (0 to 8).
constexpr std::optional<UriEscape> lua_uri_escape(unsigned type) {
  if (type > 8) return std::nullopt;
  return static_cast<UriEscape>(static_cast<unsigned>(UriEscape::lua_uri) + type);
}

std::size_t escaped_uri_size(std::string_view text, UriEscape set);
char* escape_uri_into(char* out, std::string_view text, UriEscape set);
std::string_view escape_uri(Arena& arena, std::string_view text, UriEscape set);

// What unescaping does beside decoding %XX.
enum class Unescape : std::uint8_t {
  all,       // everything is decoded
  uri,       // stop after the first '?', decoded or not
  redirect,  // stop after '?'; blanks, '%' and bytes outside ASCII stay as %XX
};

struct Unescaped {
  char* end;             // of the text written
  std::size_t consumed;  // of the text read
};

// Writes at most text.size() bytes; `out` may be text.data(). A '%' without two hexadecimal digits is
// dropped together with a first good digit, as nginx does.
Unescaped unescape_uri_into(char* out, std::string_view text, Unescape mode);
std::string_view unescape_uri(Arena& arena, std::string_view text, Unescape mode = Unescape::all);

// The form decoding of the Lua API: '+' is a blank, and a '%' without two digits stays.
char* unescape_form_into(char* out, std::string_view text);

// < > & " as entities.
std::size_t escaped_html_size(std::string_view text);
char* escape_html_into(char* out, std::string_view text);
std::string_view escape_html(Arena& arena, std::string_view text);

// The inside of a JSON string (RFC 8259); bytes above 0x7e pass unchanged.
std::size_t escaped_json_size(std::string_view text);
char* escape_json_into(char* out, std::string_view text);
std::string_view escape_json(Arena& arena, std::string_view text);

// \xXX for quotes, backslashes, controls and everything outside ASCII: log_format's default.
std::size_t escaped_log_size(std::string_view text);
char* escape_log_into(char* out, std::string_view text);
std::string_view escape_log(Arena& arena, std::string_view text);

}  // namespace mp
