#include "base/base64.hpp"

#include <array>
#include <cstdint>

namespace mp {
namespace {

constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrl = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t kForeign = 0xff;

using Values = std::array<std::uint8_t, 256>;

constexpr Values values_of(std::string_view alphabet) {
  Values values{};
  for (auto& value : values) value = kForeign;
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    values[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}
constexpr Values kPlainValues = values_of(kPlain);
constexpr Values kUrlValues = values_of(kUrl);

char* encode(char* out, std::string_view bytes, std::string_view alphabet, Padding padding) {
  const auto* p = reinterpret_cast<const unsigned char*>(bytes.data());
  std::size_t left = bytes.size();
  const auto digit = [&](std::uint32_t bits, int shift) { return alphabet[bits >> shift & 63]; };
  for (; left >= 3; left -= 3, p += 3, out += 4) {
    const std::uint32_t bits =
        static_cast<std::uint32_t>(p[0]) << 16 | static_cast<std::uint32_t>(p[1]) << 8 | p[2];
    out[0] = digit(bits, 18);
    out[1] = digit(bits, 12);
    out[2] = digit(bits, 6);
    out[3] = digit(bits, 0);
  }
  if (left == 0) return out;
  const std::uint32_t bits =
      static_cast<std::uint32_t>(p[0]) << 16 | (left == 2 ? static_cast<std::uint32_t>(p[1]) << 8 : 0);
  *out++ = digit(bits, 18);
  *out++ = digit(bits, 12);
  if (left == 2) *out++ = digit(bits, 6);
  if (padding == Padding::on) {
    if (left == 1) *out++ = '=';
    *out++ = '=';
  }
  return out;
}

// Collects six bits at a time; `skip_foreign` is RFC 2045's rule.
std::optional<char*> decode(char* out, std::string_view text, const Values& values, bool skip_foreign) {
  const std::string_view digits = text.substr(0, text.find('='));
  const auto* p = reinterpret_cast<const unsigned char*>(digits.data());
  const auto* const end = p + digits.size();
  std::uint32_t bits = 0;
  unsigned count = 0;
  while (p != end) {
    while (count == 0 && end - p >= 4) {
      const std::uint32_t a = values[p[0]], b = values[p[1]], c = values[p[2]], d = values[p[3]];
      if ((a | b | c | d) == kForeign) break;
      *out++ = static_cast<char>(a << 2 | b >> 4);
      *out++ = static_cast<char>(b << 4 | c >> 2);
      *out++ = static_cast<char>(c << 6 | d);
      p += 4;
    }
    if (p == end) break;
    const std::uint8_t value = values[*p++];
    if (value == kForeign) {
      if (skip_foreign) continue;
      return std::nullopt;
    }
    bits = bits << 6 | value;
    if (++count == 4) {
      *out++ = static_cast<char>(bits >> 16);
      *out++ = static_cast<char>(bits >> 8);
      *out++ = static_cast<char>(bits);
      count = 0;
    }
  }
  if (count == 1) return std::nullopt;
  if (count >= 2) *out++ = static_cast<char>(count == 2 ? bits >> 4 : bits >> 10);
  if (count == 3) *out++ = static_cast<char>(bits >> 2);
  return out;
}

}  // namespace

char* base64_into(char* out, std::string_view bytes, Padding padding) {
  return encode(out, bytes, kPlain, padding);
}
char* base64url_into(char* out, std::string_view bytes) {
  return encode(out, bytes, kUrl, Padding::off);
}

std::string_view base64(Arena& arena, std::string_view bytes) {
  char* start = arena.bytes(base64_size(bytes.size()));
  return {start, static_cast<std::size_t>(base64_into(start, bytes) - start)};
}

std::optional<char*> decode_base64_into(char* out, std::string_view text) {
  return decode(out, text, kPlainValues, false);
}
std::optional<char*> decode_base64url_into(char* out, std::string_view text) {
  return decode(out, text, kUrlValues, false);
}
std::optional<char*> decode_base64_mime_into(char* out, std::string_view text) {
  return decode(out, text, kPlainValues, true);
}

std::optional<std::string_view> decode_base64(Arena& arena, std::string_view text) {
  char* start = arena.bytes(base64_decoded_room(text.size()));
  const auto end = decode_base64_into(start, text);
  if (!end) return std::nullopt;
  return std::string_view(start, static_cast<std::size_t>(*end - start));
}

}  // namespace mp
