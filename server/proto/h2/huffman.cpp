#include "proto/h2/huffman.hpp"

#include <array>
#include <cstdint>
#include <cstring>

namespace mp::proto {
namespace {

// How many bits the code of each byte has. The codes are canonical: this is all there is to know.
constexpr std::array<std::uint8_t, 256> kBits = {
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,  //
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,  //
    6,  10, 10, 12, 13, 6,  8,  11, 10, 10, 8,  11, 8,  6,  6,  6,   //
    5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8,  15, 6,  12, 10,  //
    13, 6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,   //
    7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8,  13, 19, 13, 14, 6,   //
    15, 5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,   //
    6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7,  15, 11, 14, 13, 28,  //
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,  //
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,  //
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,  //
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,  //
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,  //
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,  //
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,  //
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,  //
};

constexpr unsigned kMostBits = 30;
constexpr unsigned kDirect = 10;  // codes up to this length are found by one look

struct Found {
  std::uint8_t symbol = 0;
  std::uint8_t bits = 0;  // 0: the code is longer
};

struct Tables {
  std::array<Found, 1 << kDirect> direct = {};
  std::array<std::uint8_t, 256> sorted = {};  // by length, then by value
  // By length: the first code, how many there are, and where the first one's symbol is in `sorted`.
  std::array<std::uint32_t, kMostBits + 1> first = {};
  std::array<std::uint16_t, kMostBits + 1> count = {};
  std::array<std::uint16_t, kMostBits + 1> place = {};
};

constexpr Tables make_tables() {
  Tables t;
  std::uint32_t code = 0;
  std::uint16_t place = 0;
  for (unsigned bits = 1; bits <= kMostBits; ++bits) {
    code <<= 1;
    t.first[bits] = code;
    t.place[bits] = place;
    for (unsigned symbol = 0; symbol < 256; ++symbol) {
      if (kBits[symbol] != bits) continue;
      t.sorted[place++] = static_cast<std::uint8_t>(symbol);
      ++t.count[bits];
      for (unsigned i = 0; bits <= kDirect && i < 1u << (kDirect - bits); ++i) {
        t.direct[(code << (kDirect - bits)) + i] = {static_cast<std::uint8_t>(symbol),
                                                    static_cast<std::uint8_t>(bits)};
      }
      ++code;
    }
  }
  return t;
}

constexpr Tables kTables = make_tables();
// Only the end of the string, which must not occur, has a code behind the last one.
static_assert(kTables.first[kMostBits] + kTables.count[kMostBits] == 0x3fffffff);

// The code that `window` begins with, if it is longer than kDirect; 0 bits: it is none.
Found find_long(std::uint64_t window) {
  for (unsigned bits = kDirect + 1; bits <= kMostBits; ++bits) {
    const auto code = static_cast<std::uint32_t>(window >> (64 - bits));
    const std::uint32_t offset = code - kTables.first[bits];
    if (code >= kTables.first[bits] && offset < kTables.count[bits]) {
      return {kTables.sorted[kTables.place[bits] + offset], static_cast<std::uint8_t>(bits)};
    }
  }
  return {};
}

}  // namespace

char* huffman_decode(std::string_view coded, char* to) {
  const auto* p = reinterpret_cast<const unsigned char*>(coded.data());
  const auto* const end = p + coded.size();
  std::uint64_t window = 0;  // the next bits, highest first; zeros behind them
  unsigned have = 0;
  for (;;) {
    for (; have <= 56 && p != end; have += 8) window |= std::uint64_t{*p++} << (56 - have);
    Found found = kTables.direct[window >> (64 - kDirect)];
    if (found.bits == 0) found = find_long(window);
    if (found.bits == 0 || found.bits > have) break;
    *to++ = static_cast<char>(found.symbol);
    window <<= found.bits;
    have -= found.bits;
  }
  // What is left is padding: the beginning of the code that ends a string, all ones.
  const std::uint64_t ones = have == 0 ? 0 : ~std::uint64_t{0} << (64 - have);
  return have <= 8 && p == end && window == ones ? to : nullptr;
}

}  // namespace mp::proto
