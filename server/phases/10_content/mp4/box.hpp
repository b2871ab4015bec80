// Boxes of the ISO base media file format (ISO/IEC 14496-12): numbers are big-endian, a box is its size (32
// bits, or 1 and 64 bits behind the name), its name, and what it holds. Views into memory that the caller
// keeps.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace mp::phases::mp4 {

inline std::uint32_t read32(const char* p) {
  const auto* b = reinterpret_cast<const unsigned char*>(p);
  return std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | b[3];
}
inline std::uint64_t read64(const char* p) {
  return std::uint64_t{read32(p)} << 32 | read32(p + 4);
}
inline void write32(char* p, std::uint32_t n) {
  for (int i = 3; i >= 0; --i, n >>= 8) p[i] = static_cast<char>(n & 0xff);
}
inline void write64(char* p, std::uint64_t n) {
  write32(p, static_cast<std::uint32_t>(n >> 32));
  write32(p + 4, static_cast<std::uint32_t>(n));
}

struct Box {
  std::string_view name;
  std::uint64_t size = 0;  // with the header
  std::size_t header = 0;  // its length: 8 or 16
};

// The header at the start of `bytes`; nothing when it is cut off or says less than its own length. A size of
// 0 means "up to the end" and is for the caller to decide.
inline std::optional<Box> read_box(std::string_view bytes) {
  if (bytes.size() < 8) return std::nullopt;
  Box box{bytes.substr(4, 4), read32(bytes.data()), 8};
  if (box.size == 1) {
    if (bytes.size() < 16) return std::nullopt;
    box.size = read64(bytes.data() + 8);
    box.header = 16;
  }
  if (box.size != 0 && box.size < box.header) return std::nullopt;
  return box;
}

// Calls `each(name, content)` for the boxes in `bytes`, until one returns false. False then, and when the
// boxes do not fit into each other.
template <typename Each>
bool for_each_box(std::string_view bytes, Each each) {
  while (!bytes.empty()) {
    const auto box = read_box(bytes);
    if (!box) return false;
    if (box->size == 0) return true;
    if (box->size > bytes.size()) return false;
    if (!each(box->name, bytes.substr(box->header, static_cast<std::size_t>(box->size) - box->header)))
      return false;
    bytes.remove_prefix(static_cast<std::size_t>(box->size));
  }
  return true;
}

// A table of 32-bit numbers, `width` of them a row.
class Table {
 public:
  Table() = default;
  Table(std::string_view bytes, std::size_t rows, std::size_t width)
      : bytes_(bytes), rows_(rows), width_(width) {}
  std::size_t rows() const { return rows_; }
  std::uint32_t at(std::size_t row, std::size_t column = 0) const {
    return read32(bytes_.data() + (row * width_ + column) * 4);
  }
  std::string_view range(std::size_t from, std::size_t to) const {
    return bytes_.substr(from * width_ * 4, (to - from) * width_ * 4);
  }

 private:
  std::string_view bytes_;
  std::size_t rows_ = 0;
  std::size_t width_ = 1;
};

// Boxes being written: the size of each is filled in when it is closed.
class BoxWriter {
 public:
  explicit BoxWriter(std::string& out) : out_(out) {}

  // Calls `content()` between the header and the end.
  template <std::invocable Content>
  void box(std::string_view name, Content content) {
    const std::size_t start = out_.size();
    number(0);
    out_.append(name);
    content();
    write32(out_.data() + start, static_cast<std::uint32_t>(out_.size() - start));
  }
  void box(std::string_view name, std::string_view content) {
    box(name, [&] { out_.append(content); });
  }
  void number(std::uint32_t n) {
    char bytes[4];
    write32(bytes, n);
    out_.append(bytes, sizeof bytes);
  }
  void number64(std::uint64_t n) {
    number(static_cast<std::uint32_t>(n >> 32));
    number(static_cast<std::uint32_t>(n));
  }
  void bytes(std::string_view text) { out_.append(text); }
  std::size_t position() const { return out_.size(); }
  char* at(std::size_t position) { return out_.data() + position; }

 private:
  std::string& out_;
};

}  // namespace mp::phases::mp4
