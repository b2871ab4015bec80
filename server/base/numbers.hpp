// Numbers to and from text: decimal, hexadecimal, fixed point, and nginx's sizes ("8k") and times
// ("1h30m"). Parsing takes the whole text or nothing: no sign, blank or overflow gets through unless
// the function says so. Printing writes into the caller's buffer and returns its end.
#pragma once

#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include "base/ascii.hpp"

namespace mp {

// Decimal digits only, at most `max`.
template <std::unsigned_integral T = std::uint64_t>
constexpr std::optional<T> parse_unsigned(std::string_view text, T max = std::numeric_limits<T>::max()) {
  if (text.empty()) return std::nullopt;
  T value = 0;
  for (char c : text) {
    if (!is_digit(c)) return std::nullopt;
    const T digit = static_cast<T>(c - '0');
    if (value > max / 10 || static_cast<T>(value * 10) > max - digit) return std::nullopt;
    value = static_cast<T>(value * 10 + digit);
  }
  return value;
}

// A non-negative number that fits T (off_t, int, ...).
template <std::signed_integral T>
constexpr std::optional<T> parse_natural(std::string_view text, T max = std::numeric_limits<T>::max()) {
  const auto value = parse_unsigned<std::uint64_t>(text, static_cast<std::uint64_t>(max));
  if (!value) return std::nullopt;
  return static_cast<T>(*value);
}

// With an optional leading '-'.
template <std::signed_integral T = std::int64_t>
constexpr std::optional<T> parse_signed(std::string_view text) {
  if (!text.starts_with('-')) return parse_natural<T>(text);
  constexpr auto kLimit = static_cast<std::uint64_t>(std::numeric_limits<T>::max()) + 1;
  const auto value = parse_unsigned<std::uint64_t>(text.substr(1), kLimit);
  if (!value) return std::nullopt;
  return static_cast<T>(~*value + 1);  // negated in modular arithmetic: the minimum works too
}

// Hexadecimal digits without a prefix, either case.
constexpr std::optional<std::uint64_t> parse_hex(
    std::string_view text, std::uint64_t max = std::numeric_limits<std::uint64_t>::max()) {
  if (text.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (char c : text) {
    const int digit = hex_value(c);
    if (digit < 0 || value > (max >> 4)) return std::nullopt;
    value = (value << 4) | static_cast<std::uint64_t>(digit);
    if (value > max) return std::nullopt;
  }
  return value;
}

// "12.345" with `digits` decimals as an integer of that unit (12345 for 3); more decimals are an error.
std::optional<std::int64_t> parse_fixed(std::string_view text, int digits);

// Sizes: "8192", "8k", "8K", "1m", "1M"; parse_offset takes "1g" and "1G" too.
std::optional<std::int64_t> parse_size(std::string_view text);
std::optional<std::int64_t> parse_offset(std::string_view text);

// Times in nginx's notation: units y M w d h m s (and ms) from large to small, each at most once,
// blanks between; a bare number is seconds. "1h 30m", "90s", "500ms", "1.5" is an error.
std::optional<std::int64_t> parse_seconds(std::string_view text);  // refuses "ms"
std::optional<std::int64_t> parse_milliseconds(std::string_view text);

// Room that any of the functions below needs, without a terminating zero.
inline constexpr std::size_t kMaxDecimal = 20;
inline constexpr std::size_t kMaxHex = 16;

template <std::integral T>
char* print(char* out, T value) {
  return std::to_chars(out, out + kMaxDecimal, value).ptr;
}

char* print_hex(char* out, std::uint64_t value);                // lower case, no leading zeros
char* print_padded(char* out, std::uint64_t value, int width);  // decimal, zeros in front; at least `width`
char* print_fixed(char* out, std::int64_t value, int digits);   // 12345, 3 -> "12.345"; kMaxDecimal + 2

// Two lower-case hexadecimal digits a byte: writes 2 * size characters.
char* hex_into(char* out, const void* data, std::size_t size);

}  // namespace mp
