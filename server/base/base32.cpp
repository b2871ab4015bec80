#include "base/base32.hpp"

#include <cstdint>

namespace mp {

char* base32_into(char* out, std::string_view bytes, std::string_view alphabet, bool padded) {
  std::uint32_t bits = 0;
  int count = 0;
  std::size_t written = 0;
  const auto put = [&](unsigned value) {
    *out++ = alphabet[value & 31];
    ++written;
  };
  for (const char c : bytes) {
    bits = (bits << 8) | static_cast<unsigned char>(c);
    for (count += 8; count >= 5; count -= 5) put(bits >> (count - 5));
  }
  if (count > 0) put(bits << (5 - count));
  while (padded && written % 8 != 0) {
    *out++ = '=';
    ++written;
  }
  return out;
}

std::optional<char*> decode_base32_into(char* out, std::string_view text, std::string_view alphabet) {
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=') break;
    const std::size_t value = alphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << 5) | static_cast<std::uint32_t>(value);
    count += 5;
    if (count >= 8) {
      count -= 8;
      *out++ = static_cast<char>(bits >> count);
    }
  }
  return out;
}

}  // namespace mp
