// Base 64 (RFC 4648), the ordinary and the URL alphabet. Writes into the caller's buffer; sizes are known
// beforehand. Decoding is as forgiving as nginx: it ends at the first '=', padding is optional.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "base/arena.hpp"

namespace mp {

enum class Padding : bool { off, on };

constexpr std::size_t base64_size(std::size_t size, Padding padding = Padding::on) {
  return padding == Padding::on ? (size + 2) / 3 * 4 : (size * 4 + 2) / 3;
}
// Room that decoding needs; the result may be up to two bytes shorter.
constexpr std::size_t base64_decoded_room(std::size_t size) {
  return (size + 3) / 4 * 3;
}

char* base64_into(char* out, std::string_view bytes, Padding padding = Padding::on);
char* base64url_into(char* out, std::string_view bytes);  // never padded
std::string_view base64(Arena& arena, std::string_view bytes);

// The end of what was written; nothing on a foreign character or an impossible length.
std::optional<char*> decode_base64_into(char* out, std::string_view text);
std::optional<char*> decode_base64url_into(char* out, std::string_view text);
// RFC 2045: foreign characters (line ends) are skipped.
std::optional<char*> decode_base64_mime_into(char* out, std::string_view text);
std::optional<std::string_view> decode_base64(Arena& arena, std::string_view text);

}  // namespace mp
