// ASCII characters and case-insensitive comparison, independent of the locale. Pure functions over
// views; nothing is owned or allocated. Bytes above 0x7f are never letters and compare as they are.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

namespace mp {

constexpr bool is_digit(char c) {
  return static_cast<unsigned char>(c - '0') < 10;
}
constexpr bool is_upper(char c) {
  return static_cast<unsigned char>(c - 'A') < 26;
}
constexpr bool is_lower(char c) {
  return static_cast<unsigned char>(c - 'a') < 26;
}
constexpr bool is_alpha(char c) {
  return is_lower(static_cast<char>(c | 0x20));
}
constexpr bool is_alnum(char c) {
  return is_alpha(c) || is_digit(c);
}
constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
constexpr bool is_space(char c) {
  return c == ' ' || static_cast<unsigned char>(c - '\t') < 5;
}
constexpr bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

constexpr char to_lower(char c) {
  return is_upper(c) ? static_cast<char>(c | 0x20) : c;
}
constexpr char to_upper(char c) {
  return is_lower(c) ? static_cast<char>(c & ~0x20) : c;
}

// The value of a hexadecimal digit, or -1.
constexpr int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  const char low = static_cast<char>(c | 0x20);
  return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}
constexpr bool is_hex_digit(char c) {
  return hex_value(c) >= 0;
}

// A set of bytes, tested with one load; built at compile time. A byte a member, not a bit: the parsers test
// every byte they get, and the sets that matter stay in the cache.
class CharSet {
 public:
  constexpr CharSet() = default;
  constexpr explicit CharSet(std::string_view members) { add(members); }

  constexpr CharSet& add(std::string_view members) {
    for (char c : members) has_[static_cast<unsigned char>(c)] = true;
    return *this;
  }
  constexpr CharSet& add_range(unsigned char from, unsigned char to) {
    for (unsigned c = from; c <= to; ++c) has_[c] = true;
    return *this;
  }
  constexpr CharSet& remove(std::string_view members) {
    for (char c : members) has_[static_cast<unsigned char>(c)] = false;
    return *this;
  }
  constexpr bool contains(char c) const { return has_[static_cast<unsigned char>(c)]; }

 private:
  std::array<bool, 256> has_{};
};

// RFC 9110 section 5.6.2: the characters of a token (method, header name).
inline constexpr CharSet kTokenChars =
    CharSet("!#$%&'*+-.^_`|~").add_range('0', '9').add_range('a', 'z').add_range('A', 'Z');

constexpr bool is_token(std::string_view text) {
  for (char c : text) {
    if (!kTokenChars.contains(c)) return false;
  }
  return !text.empty();
}

namespace ascii_detail {

inline constexpr std::uint64_t kOnes = 0x0101010101010101;

// Eight characters to lower case at once.
constexpr std::uint64_t lower8(std::uint64_t word) {
  const std::uint64_t low = word & (0x7f * kOnes);
  const std::uint64_t at_least_a = low + (0x80 - 'A') * kOnes;
  const std::uint64_t above_z = low + (0x7f - 'Z') * kOnes;
  return word | (((at_least_a ^ above_z) & ~word & (0x80 * kOnes)) >> 2);
}

// Whether they differ in case at most; mostly not even there.
constexpr bool same8(std::uint64_t a, std::uint64_t b) {
  return a == b || lower8(a) == lower8(b);
}

// The first `size` (at most 8) bytes as one word; missing ones are 0.
constexpr std::uint64_t load(const char* p, std::size_t size) {
  std::uint64_t word = 0;
  if (std::is_constant_evaluated()) {
    for (std::size_t i = 0; i < size; ++i) word |= std::uint64_t{static_cast<unsigned char>(p[i])} << (8 * i);
  } else if (size == 8) {
    std::memcpy(&word, p, 8);
  } else if (size >= 4) {  // two halves that overlap
    std::uint32_t last;
    std::memcpy(&word, p, 4);
    std::memcpy(&last, p + size - 4, 4);
    word |= std::uint64_t{last} << (8 * (size - 4));
  } else if (size > 0) {
    const auto at = [p](std::size_t i) { return std::uint64_t{static_cast<unsigned char>(p[i])} << (8 * i); };
    word = at(0) | at(size / 2) | at(size - 1);
  }
  return word;
}

constexpr std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

}  // namespace ascii_detail

constexpr bool equals_nocase(std::string_view a, std::string_view b) {
  using namespace ascii_detail;
  if (a.size() != b.size()) return false;
  const char* p = a.data();
  const char* q = b.data();
  std::size_t left = a.size();
  for (; left >= 8; left -= 8, p += 8, q += 8) {
    if (!same8(load(p, 8), load(q, 8))) return false;
  }
  if (left >= 4) {  // two words that overlap in the middle
    return same8(load(p, 4) | load(p + left - 4, 4) << 32, load(q, 4) | load(q + left - 4, 4) << 32);
  }
  for (; left != 0; --left) {
    if (to_lower(*p++) != to_lower(*q++)) return false;
  }
  return true;
}

constexpr bool starts_with_nocase(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && equals_nocase(text.substr(0, prefix.size()), prefix);
}

constexpr bool ends_with_nocase(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && equals_nocase(text.substr(text.size() - suffix.size()), suffix);
}

// <0, 0, >0 as in strcasecmp.
constexpr int compare_nocase(std::string_view a, std::string_view b) {
  const std::size_t size = a.size() < b.size() ? a.size() : b.size();
  for (std::size_t i = 0; i < size; ++i) {
    const int difference =
        static_cast<unsigned char>(to_lower(a[i])) - static_cast<unsigned char>(to_lower(b[i]));
    if (difference != 0) return difference;
  }
  return a.size() == b.size() ? 0 : (a.size() < b.size() ? -1 : 1);
}

// Equal for texts that differ only in case. Good for tables of bounded size; not for untrusted
// input of unbounded number unless a secret `seed` is given.
constexpr std::uint64_t hash_nocase(std::string_view text, std::uint64_t seed = 0) {
  using namespace ascii_detail;
  constexpr std::uint64_t kFold = 0x20 * kOnes;  // letters only need a common bit 5
  std::uint64_t hash = seed ^ (text.size() * 0x9e3779b97f4a7c15);
  const char* p = text.data();
  std::size_t left = text.size();
  for (; left > 8; left -= 8, p += 8) hash = mix(hash ^ (load(p, 8) | kFold), 0xe7037ed1a0b428db);
  return mix(hash ^ (load(p, left) | kFold), 0x8ebc6af09c88c6e3);
}

// The same, case-sensitive.
constexpr std::uint64_t hash_text(std::string_view text, std::uint64_t seed = 0) {
  using namespace ascii_detail;
  std::uint64_t hash = seed ^ (text.size() * 0x9e3779b97f4a7c15);
  const char* p = text.data();
  std::size_t left = text.size();
  for (; left > 8; left -= 8, p += 8) hash = mix(hash ^ load(p, 8) ^ 0xa0761d6478bd642f, 0xe7037ed1a0b428db);
  return mix(hash ^ load(p, left) ^ 0xa0761d6478bd642f, 0x8ebc6af09c88c6e3);
}

// For std::unordered_map and the like; transparent.
struct NoCaseHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return hash_nocase(text); }
};
struct NoCaseEqual {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const { return equals_nocase(a, b); }
};
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return hash_text(text); }
};

// The position of the first `needle` at or after `from`, or npos.
std::size_t find_nocase(std::string_view text, std::string_view needle, std::size_t from = 0);

// Writes text.size() bytes to `out` (which may be text.data()); returns the end.
char* lower_into(char* out, std::string_view text);
char* upper_into(char* out, std::string_view text);

}  // namespace mp
