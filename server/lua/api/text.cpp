// Escaping, base 64, digests and checksums: functions over bytes, without a request.
#include <algorithm>
#include <cstring>

#include "base/base64.hpp"
#include "base/digest.hpp"
#include "base/escape.hpp"
#include "base/numbers.hpp"
#include "base/sql.hpp"
#include "lua/api.hpp"

namespace mp::lua {
extern const Group kTextGroup = {"text", {}};

}  // namespace mp::lua

extern "C" {

using mp::lua::view;

void mp_text_replace_char(char* text, std::size_t size, int from, int to) {
  std::replace(text, text + size, static_cast<char>(from), static_cast<char>(to));
}

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
  return static_cast<std::size_t>(mp::quote_sql_into(out, view(text, size)) - out);
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
