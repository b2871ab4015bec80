// What stands before a block with codes of its own: how long they are, itself compressed (RFC 1951,
// section 3.2.7).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "filters/pack/bit_writer.hpp"
#include "filters/pack/symbols.hpp"

namespace mp::filters::pack {

class CodeHeader {
 public:
  CodeHeader(std::span<const std::uint8_t, kLiteralSymbols> literal_lengths,
             std::span<const std::uint8_t, kDistanceSymbols> distance_lengths);

  std::size_t bits() const { return bits_; }
  void write(BitWriter& out) const;

 private:
  static constexpr unsigned kSymbols = 19;

  struct Item {
    std::uint8_t symbol;
    std::uint8_t extra;  // the bits behind it
  };

  void add(unsigned symbol, unsigned extra);
  void add_run(unsigned length, std::size_t count);

  unsigned literals_;  // how many lengths of each alphabet are written
  unsigned distances_;
  unsigned listed_ = kSymbols;  // how many lengths of the code for lengths
  std::array<Item, kLiteralSymbols + kDistanceSymbols> items_;
  std::size_t item_count_ = 0;
  std::array<std::uint32_t, kSymbols> counts_{};
  std::array<std::uint8_t, kSymbols> lengths_;
  std::array<std::uint16_t, kSymbols> codes_;
  std::size_t bits_ = 0;
};

}  // namespace mp::filters::pack
