// Bits to bytes, the first bit lowest (RFC 1951, section 3.1.1). The owner has checked that there is room,
// and for eight bytes more: whole words are written.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "filters/pack/symbols.hpp"

namespace mp::filters::pack {

class BitWriter {
 public:
  explicit BitWriter(Byte* out) : out_(out) {}

  // At most 56 bits between two flushes.
  void add(std::uint64_t bits, unsigned count) {
    held_ |= bits << count_;
    count_ += count;
  }
  void flush() {
    std::uint64_t word = held_;
    if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
    std::memcpy(out_, &word, sizeof word);
    out_ += count_ >> 3;
    held_ >>= count_ & ~7u;
    count_ &= 7;
  }
  void put(std::uint64_t bits, unsigned count) {
    add(bits, count);
    flush();
  }

  // Zeros up to the next byte. Nothing is held then.
  void align() {
    if (count_ != 0) *out_++ = static_cast<Byte>(held_);
    held_ = 0;
    count_ = 0;
  }
  // Only after align().
  void bytes(const Byte* from, std::size_t size) {
    std::memcpy(out_, from, size);
    out_ += size;
  }
  Byte* end() const { return out_; }

 private:
  Byte* out_;
  std::uint64_t held_ = 0;
  unsigned count_ = 0;  // of the bits held; less than 8 after a flush
};

}  // namespace mp::filters::pack
