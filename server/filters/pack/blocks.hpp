// The blocks a compressed body is cut into (RFC 1951, section 3.2.3), each in the form that is smallest for
// it. Steps are gathered in groups; a group that is written more shortly with codes of its own than with
// those of the block so far begins a new block. Owned by a Packer; used for one body after the other.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "filters/pack/bit_writer.hpp"
#include "filters/pack/symbols.hpp"

namespace mp::filters::pack {

// How often each symbol occurs.
struct Counts {
  std::array<std::uint32_t, kLiteralSymbols> literals{};
  std::array<std::uint32_t, kDistanceSymbols> distances{};
};

class Blocks {
 public:
  Blocks();

  // Bytes that a body of this size takes at most, compressed, with those that are written to beyond its end.
  static std::size_t room_for(std::size_t size);

  // `text` stays until finish(), `out` has room for it.
  void begin(const Byte* text, Byte* out);
  // The steps that make the text, in their order. The text is less than 4 GB.
  void add(Step step) {
    steps_[end_++] = step;
    if (end_ == group_end_) end_group();
  }
  // Writes what is left; returns the end of it.
  Byte* finish();

 private:
  static constexpr std::size_t kGroup = 512;
  static constexpr std::size_t kMostSteps = 16 * kGroup;

  void end_group();
  void write_block(bool last);
  void write_stored(bool last);
  void write_steps();

  std::unique_ptr<Step[]> steps_;
  std::size_t block_end_ = 0;  // the steps of the block so far; those of the open group follow
  std::size_t end_ = 0;
  std::size_t group_end_ = kGroup;

  const Byte* text_ = nullptr;  // of the block
  std::size_t size_ = 0;        // of its text
  Counts counts_;
  float bits_ = 0;  // what the block takes, about

  BitWriter out_{nullptr};
  std::array<std::uint8_t, kLiteralSymbols> literal_lengths_;
  std::array<std::uint16_t, kLiteralSymbols> literal_codes_;
  std::array<std::uint8_t, kDistanceSymbols> distance_lengths_;
  std::array<std::uint16_t, kDistanceSymbols> distance_codes_;
};

}  // namespace mp::filters::pack
