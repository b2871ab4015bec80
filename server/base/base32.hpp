// Base 32 (RFC 4648) with any alphabet of 32 characters. Writes into the caller's buffer.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace mp {

constexpr std::size_t base32_room(std::size_t size) {
  return (size + 4) / 5 * 8;
}
constexpr std::size_t base32_decoded_room(std::size_t size) {
  return (size + 7) / 8 * 5;
}

// The end of what was written; `padded` fills the last group up with '='.
char* base32_into(char* out, std::string_view bytes, std::string_view alphabet, bool padded);

// Ends at the first '='. Nothing on a foreign character.
std::optional<char*> decode_base32_into(char* out, std::string_view text, std::string_view alphabet);

}  // namespace mp
