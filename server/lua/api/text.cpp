// Escaping, base 64, digests and checksums: functions over bytes, without a request.
#include <cstring>

#include "base/base64.hpp"
#include "base/digest.hpp"
#include "base/escape.hpp"
#include "base/numbers.hpp"
#include "lua/api.hpp"

namespace mp::lua {
namespace {

// What SQL wants escaped inside a quoted string, with the letter that stands behind the backslash; 0:
// nothing.
char sql_escape(char c) {
  switch (c) {
    case '\0':
      return '0';
    case '\b':
      return 'b';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    case 26:
      return 'Z';
    case '\\':
      return '\\';
    case '\'':
      return '\'';
    case '"':
      return '"';
    default:
      return 0;
  }
}

}  // namespace

extern const Group kTextGroup = {"text", {}};

}  // namespace mp::lua

extern "C" {

using mp::lua::view;

// `type` is the second argument of ngx.escape_uri, 0 to 8. The size of the result, then the result itself.
std::size_t mp_text_escaped_size(const char* text, std::size_t size, int type) {
  return mp::escaped_uri_size(view(text, size), *mp::lua_uri_escape(static_cast<unsigned>(type)));
}
void mp_text_escape(const char* text, std::size_t size, char* out, int type) {
  mp::escape_uri_into(out, view(text, size), *mp::lua_uri_escape(static_cast<unsigned>(type)));
}

// At most `size` bytes; returns how many.
std::size_t mp_text_unescape(const char* text, std::size_t size, char* out) {
  return static_cast<std::size_t>(mp::unescape_form_into(out, view(text, size)) - out);
}

// At most 2 * size + 2 bytes, quotes included.
std::size_t mp_text_quote_sql(const char* text, std::size_t size, char* out) {
  char* p = out;
  *p++ = '\'';
  for (const char c : view(text, size)) {
    if (const char letter = mp::lua::sql_escape(c)) {
      *p++ = '\\';
      *p++ = letter;
    } else {
      *p++ = c;
    }
  }
  *p++ = '\'';
  return static_cast<std::size_t>(p - out);
}

std::size_t mp_text_encode_base64(const char* text, std::size_t size, char* out, int padded) {
  const auto padding = padded != 0 ? mp::Padding::on : mp::Padding::off;
  return static_cast<std::size_t>(mp::base64_into(out, view(text, size), padding) - out);
}
std::size_t mp_text_encode_base64url(const char* text, std::size_t size, char* out) {
  return static_cast<std::size_t>(mp::base64url_into(out, view(text, size)) - out);
}

// kind 0: ordinary, 1: URL alphabet, 2: MIME. The size of the result, or -1 for broken input.
std::int64_t mp_text_decode_base64(const char* text, std::size_t size, char* out, int kind) {
  const auto end = kind == 0   ? mp::decode_base64_into(out, view(text, size))
                   : kind == 1 ? mp::decode_base64url_into(out, view(text, size))
                               : mp::decode_base64_mime_into(out, view(text, size));
  return end ? *end - out : -1;
}

void mp_text_md5(const char* text, std::size_t size, char* out) {
  const auto digest = mp::md5(view(text, size));
  std::memcpy(out, digest.data(), digest.size());
}
void mp_text_md5_hex(const char* text, std::size_t size, char* out) {
  const auto digest = mp::md5(view(text, size));
  mp::hex_into(out, digest.data(), digest.size());
}
void mp_text_sha1(const char* text, std::size_t size, char* out) {
  const auto digest = mp::sha1(view(text, size));
  std::memcpy(out, digest.data(), digest.size());
}
void mp_text_hmac_sha1(const char* key, std::size_t key_size, const char* text, std::size_t size, char* out) {
  const auto digest = mp::hmac_sha1(view(key, key_size), view(text, size));
  std::memcpy(out, digest.data(), digest.size());
}
std::uint32_t mp_text_crc32(const char* text, std::size_t size) {
  return mp::crc32(view(text, size));
}
}
