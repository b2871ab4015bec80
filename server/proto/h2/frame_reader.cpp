#include "proto/h2/frame_reader.hpp"

#include <algorithm>

namespace mp::proto {

H2FrameReader::Event H2FrameReader::next(std::string_view& bytes) {
  if (held_given_) [[unlikely]] {
    held_given_ = false;
    std::string().swap(held_);
  }
  if (!began_) {
    if (!read_head(bytes)) return Event::none;
    began_ = true;
    left_ = head_.length;
    padding_ = 0;
    pad_known_ = head_.type != H2Type::data || !head_.has(h2_flag::kPadded);
    return Event::begins;
  }
  if (head_.comes_in_parts()) return read_data(bytes);
  const std::size_t n = std::min<std::size_t>(left_, bytes.size());
  if (n == head_.length) {
    payload_ = bytes.substr(0, n);
  } else {
    if (n < left_ && n == 0) return Event::none;
    held_.append(bytes.substr(0, n));
    payload_ = held_;
    held_given_ = n == left_;
  }
  bytes.remove_prefix(n);
  left_ -= static_cast<std::uint32_t>(n);
  if (left_ > 0) return Event::none;
  began_ = false;
  return Event::whole;
}

bool H2FrameReader::read_head(std::string_view& bytes) {
  if (head_size_ == 0 && bytes.size() >= kH2FrameHead) [[likely]] {
    head_ = H2FrameHead::read(bytes.data());
    bytes.remove_prefix(kH2FrameHead);
    return true;
  }
  const std::size_t n = std::min(kH2FrameHead - head_size_, bytes.size());
  bytes.copy(head_bytes_ + head_size_, n);
  bytes.remove_prefix(n);
  head_size_ = static_cast<std::uint8_t>(head_size_ + n);
  if (head_size_ < kH2FrameHead) return false;
  head_ = H2FrameHead::read(head_bytes_);
  head_size_ = 0;
  return true;
}

// The session has seen that the frame has room for the field; that it has room for the padding is seen here:
// what is too much of it shows as padding() beyond the frame.
bool H2FrameReader::read_pad_length(std::string_view& bytes) {
  if (bytes.empty()) return false;
  padding_ = static_cast<unsigned char>(bytes.front()) + 1u;
  bytes.remove_prefix(1);
  --left_;
  pad_known_ = true;
  return true;
}

H2FrameReader::Event H2FrameReader::read_data(std::string_view& bytes) {
  if (!pad_known_ && left_ > 0 && !read_pad_length(bytes)) return Event::none;
  const std::uint32_t pad = padding_ > 0 ? padding_ - 1 : 0;
  const std::uint32_t body = left_ > pad ? left_ - pad : 0;
  if (body > 0 || left_ == 0) {
    const std::size_t n = std::min<std::size_t>(body, bytes.size());
    if (n == 0 && left_ > 0) return Event::none;
    payload_ = bytes.substr(0, n);
    bytes.remove_prefix(n);
    left_ -= static_cast<std::uint32_t>(n);
    if (left_ > 0) return Event::data;
  } else {
    const std::size_t n = std::min<std::size_t>(left_, bytes.size());
    bytes.remove_prefix(n);
    left_ -= static_cast<std::uint32_t>(n);
    payload_ = {};
    if (left_ > 0) return Event::none;
  }
  began_ = false;
  return Event::data;
}

}  // namespace mp::proto
