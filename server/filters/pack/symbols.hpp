// What a compressed body consists of, and the alphabets it is written in (RFC 1951, section 3.2.5).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace mp::filters::pack {

using Byte = unsigned char;

// Bytes as they are, then a copy of bytes that came before.
struct Step {
  std::uint32_t literals;
  std::uint16_t length;              // 0: nothing is copied
  std::uint16_t distance_minus_one;  // of the copy
};

constexpr unsigned kLongest = 258;
constexpr unsigned kEndOfBlock = 256;
constexpr unsigned kFirstLength = 257;  // the symbols of lengths are behind those of the 256 bytes
constexpr unsigned kLiteralSymbols = 286;
constexpr unsigned kDistanceSymbols = 30;

constexpr unsigned kLengthSymbols = kLiteralSymbols - kFirstLength;

// Bits that follow a symbol and say which of its lengths or distances is meant.
constexpr unsigned extra_bits_of_length(unsigned symbol) {
  return symbol < 8 || symbol == kLengthSymbols - 1 ? 0 : symbol / 4 - 1;
}
constexpr unsigned extra_bits_of_distance(unsigned symbol) {
  return symbol < 4 ? 0 : symbol / 2 - 1;
}

struct LengthTable {
  std::array<std::uint8_t, kLongest + 1> symbol{};
  std::array<std::uint16_t, kLengthSymbols> first{};  // the shortest length of the symbol

  constexpr LengthTable() {
    constexpr unsigned kShortest = 3;
    unsigned length = kShortest;
    for (unsigned s = 0; s < kLengthSymbols - 1; ++s) {
      first[s] = static_cast<std::uint16_t>(length);
      for (unsigned n = 1u << extra_bits_of_length(s); n != 0 && length < kLongest; --n)
        symbol[length++] = static_cast<std::uint8_t>(s);
    }
    first[kLengthSymbols - 1] = kLongest;
    symbol[kLongest] = kLengthSymbols - 1;
  }
};
inline constexpr LengthTable kLengths;

// Two symbols for each power of two.
constexpr unsigned distance_symbol(unsigned distance_minus_one) {
  if (distance_minus_one < 2) return distance_minus_one;
  const unsigned power = static_cast<unsigned>(std::bit_width(distance_minus_one)) - 1;
  return 2 * power + (distance_minus_one >> (power - 1) & 1);
}

}  // namespace mp::filters::pack
