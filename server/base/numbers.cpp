#include "base/numbers.hpp"

#include <bit>
#include <cstring>

namespace mp {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

std::optional<std::int64_t> scaled(std::string_view digits, std::int64_t scale) {
  const auto value = parse_natural<std::int64_t>(digits, kMax / scale);
  if (!value) return std::nullopt;
  return *value * scale;
}

struct Unit {
  char letter;
  int rank;  // units must come in rising order
  std::int64_t seconds;
};
constexpr int kYearRank = 1;
constexpr int kMonthRank = 2;
constexpr int kSecondRank = 7;
constexpr int kMillisecondRank = 8;
constexpr int kBareRank = 9;
constexpr Unit kUnits[] = {{'y', kYearRank, 365 * 86400},
                           {'M', kMonthRank, 30 * 86400},
                           {'w', 3, 7 * 86400},
                           {'d', 4, 86400},
                           {'h', 5, 3600},
                           {'m', 6, 60},
                           {'s', kSecondRank, 1},
                           {' ', kBareRank, 1}};

// Adds value * scale to total, unless that overflows.
bool add_scaled(std::int64_t& total, std::int64_t value, std::int64_t scale) {
  return !__builtin_mul_overflow(value, scale, &value) && !__builtin_add_overflow(total, value, &total);
}

const Unit* find_unit(char letter) {
  for (const Unit& unit : kUnits) {
    if (unit.letter == letter) return &unit;
  }
  return nullptr;
}

// One number and its unit are taken off `text`; `rank` is that of the unit before, then its own.
bool take_part(std::string_view& text, bool milliseconds, int& rank, std::int64_t& total, bool& any_digit) {
  std::size_t digits = 0;
  while (digits < text.size() && is_digit(text[digits])) ++digits;
  std::int64_t value = 0;
  if (digits != 0) {
    const auto parsed = parse_natural<std::int64_t>(text.substr(0, digits));
    if (!parsed) return false;
    value = *parsed;
    any_digit = true;
    text.remove_prefix(digits);
  }
  const std::int64_t per_second = milliseconds ? 1000 : 1;
  if (text.empty()) return add_scaled(total, value, per_second);

  if (text.starts_with("ms")) {
    if (!milliseconds || rank >= kMillisecondRank) return false;
    rank = kMillisecondRank;
    text.remove_prefix(2);
    if (!add_scaled(total, value, 1)) return false;
  } else {
    const Unit* unit = find_unit(text.front());
    const int limit = unit != nullptr && unit->rank == kBareRank ? kSecondRank : (unit ? unit->rank : 0);
    if (unit == nullptr || rank >= limit) return false;
    rank = unit->rank;
    text.remove_prefix(1);
    if (!add_scaled(total, value, unit->seconds * per_second)) return false;
  }
  while (text.starts_with(' ')) text.remove_prefix(1);
  return true;
}

std::optional<std::int64_t> parse_time(std::string_view text, bool milliseconds) {
  std::int64_t total = 0;
  int rank = milliseconds ? kMonthRank : 0;
  bool any_digit = false;
  while (!text.empty()) {
    if (!take_part(text, milliseconds, rank, total, any_digit)) return std::nullopt;
  }
  if (!any_digit) return std::nullopt;
  return total;
}

}  // namespace

std::optional<std::int64_t> parse_fixed(std::string_view text, int digits) {
  std::uint64_t value = 0;
  int left = -1;  // decimals still wanted; negative before the point
  bool any_digit = false;
  constexpr auto kLimit = static_cast<std::uint64_t>(kMax);
  const auto push = [&](unsigned digit) {
    if (value > (kLimit - digit) / 10) return false;
    value = value * 10 + digit;
    return true;
  };
  for (char c : text) {
    if (c == '.') {
      if (left >= 0) return std::nullopt;
      left = digits;
      continue;
    }
    if (!is_digit(c) || left == 0 || !push(static_cast<unsigned>(c - '0'))) return std::nullopt;
    any_digit = true;
    if (left > 0) --left;
  }
  if (!any_digit) return std::nullopt;
  for (int missing = left < 0 ? digits : left; missing > 0; --missing) {
    if (!push(0)) return std::nullopt;
  }
  return static_cast<std::int64_t>(value);
}

std::optional<std::int64_t> parse_size(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const std::string_view digits = text.substr(0, text.size() - 1);
  switch (text.back()) {
    case 'k':
    case 'K':
      return scaled(digits, 1024);
    case 'm':
    case 'M':
      return scaled(digits, 1024 * 1024);
    default:
      return scaled(text, 1);
  }
}

std::optional<std::int64_t> parse_offset(std::string_view text) {
  if (text.ends_with('g') || text.ends_with('G')) {
    return scaled(text.substr(0, text.size() - 1), std::int64_t{1} << 30);
  }
  return parse_size(text);
}

std::optional<std::int64_t> parse_seconds(std::string_view text) {
  return parse_time(text, false);
}
std::optional<std::int64_t> parse_milliseconds(std::string_view text) {
  return parse_time(text, true);
}

char* print_hex(char* out, std::uint64_t value) {
  const int digits = (std::bit_width(value | 1) + 3) / 4;
  for (char* p = out + digits; p != out; value >>= 4) *--p = "0123456789abcdef"[value & 15];
  return out + digits;
}

char* print_padded(char* out, std::uint64_t value, int width) {
  char digits[kMaxDecimal];
  const auto size = static_cast<int>(print(digits, value) - digits);
  for (int i = size; i < width; ++i) *out++ = '0';
  std::memcpy(out, digits, static_cast<std::size_t>(size));
  return out + size;
}

char* print_fixed(char* out, std::int64_t value, int digits) {
  std::uint64_t magnitude = static_cast<std::uint64_t>(value);
  if (value < 0) {
    *out++ = '-';
    magnitude = ~magnitude + 1;
  }
  std::uint64_t scale = 1;
  for (int i = 0; i < digits; ++i) scale *= 10;
  out = print(out, magnitude / scale);
  if (digits == 0) return out;
  *out++ = '.';
  return print_padded(out, magnitude % scale, digits);
}

char* hex_into(char* out, const void* data, std::size_t size) {
  static constexpr char kDigits[] = "0123456789abcdef";
  const auto* bytes = static_cast<const unsigned char*>(data);
  for (std::size_t i = 0; i < size; ++i) {
    *out++ = kDigits[bytes[i] >> 4];
    *out++ = kDigits[bytes[i] & 15];
  }
  return out;
}

}  // namespace mp
