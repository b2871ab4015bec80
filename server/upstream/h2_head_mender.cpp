#include "upstream/h2_head_mender.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <nghttp2/nghttp2.h>

namespace mp::upstream {
namespace {

constexpr std::size_t kFrameHead = 9;
constexpr std::size_t kMostPayload = 16384;  // what every peer takes
constexpr std::size_t kPriority = 5;

unsigned byte(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]);
}

struct Frame {
  std::size_t length;
  unsigned type;
  unsigned flags;
  std::string_view stream;

  explicit Frame(std::string_view head)
      : length(byte(head, 0) << 16 | byte(head, 1) << 8 | byte(head, 2)),
        type(byte(head, 3)),
        flags(byte(head, 4)),
        stream(head.substr(5, 4)) {}
  std::size_t size() const { return kFrameHead + length; }
};

enum class Extent : std::uint8_t { partial, whole, broken };

// `bytes` begin with HEADERS, whose frames up to `end` have been looked at; `end` moves behind the last whole
// one.
Extent extent_of_head(std::string_view bytes, std::size_t& end) {
  for (;;) {
    const std::string_view rest = bytes.substr(end);
    if (rest.size() < kFrameHead) return Extent::partial;
    const Frame frame(rest);
    if (end > 0 && (frame.type != NGHTTP2_CONTINUATION || frame.stream != bytes.substr(5, 4))) {
      return Extent::broken;
    }
    if (rest.size() < frame.size()) return Extent::partial;
    end += frame.size();
    if ((frame.flags & NGHTTP2_FLAG_END_HEADERS) != 0) return Extent::whole;
  }
}

// RFC 7541 5.1; `at` moves behind it.
bool read_integer(std::string_view block, std::size_t& at, unsigned prefix, std::size_t& value) {
  const unsigned most = (1u << prefix) - 1;
  value = byte(block, at++) & most;
  if (value < most) return true;
  for (unsigned shift = 0; at < block.size() && shift <= 21; shift += 7) {
    const unsigned b = byte(block, at++);
    value += static_cast<std::size_t>(b & 0x7f) << shift;
    if ((b & 0x80) == 0) return true;
  }
  return false;
}

void append_integer(std::string& out, unsigned flags, unsigned prefix, std::size_t value) {
  const std::size_t most = (1u << prefix) - 1;
  if (value < most) {
    out.push_back(static_cast<char>(flags | value));
    return;
  }
  out.push_back(static_cast<char>(flags | most));
  for (value -= most; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

// The codes of RFC 7541 are canonical, so their number at each length is enough to find where they end. That
// of the end of the string is none: it must not occur.
bool ends_with_a_code(std::string_view huffman) {
  constexpr std::uint8_t kCodes[31] = {0, 0, 0, 0, 0, 10, 26, 32, 6,  0, 5,  3,  2,  6, 2, 3,
                                       0, 0, 0, 3, 8, 13, 26, 29, 12, 4, 15, 19, 29, 0, 3};
  std::uint32_t code = 0;
  std::uint32_t first = 0;  // of the codes of this length
  unsigned length = 0;
  for (const char c : huffman) {
    for (unsigned bit = 8; bit-- > 0;) {
      code = code << 1 | (static_cast<unsigned char>(c) >> bit & 1u);
      first = (first + kCodes[length]) << 1;
      if (++length > 30) return false;
      if (code - first < kCodes[length]) code = first = length = 0;
    }
  }
  return length == 0;
}

bool is_overlong(std::string_view huffman) {
  return huffman.ends_with('\xff') && ends_with_a_code(huffman.substr(0, huffman.size() - 1));
}

// How long the integer is that a field begins with, and how many strings follow if it is not an index.
struct Form {
  unsigned prefix;
  unsigned strings;
};
Form form_of(unsigned first) {
  if ((first & 0x80) != 0) return {7, 0};
  if ((first & 0x40) != 0) return {6, 1};
  if ((first & 0x20) != 0) return {5, 0};
  return {4, 1};
}

}  // namespace

bool mend_header_block(std::string_view block, std::string& out) {
  if (block.find('\xff') == std::string_view::npos) return false;  // the padding would be one
  std::size_t copied = 0;
  for (std::size_t at = 0; at < block.size();) {
    Form form = form_of(byte(block, at));
    std::size_t index = 0;
    if (!read_integer(block, at, form.prefix, index)) break;
    if (form.strings > 0 && index == 0) form.strings = 2;
    for (; form.strings > 0 && at < block.size(); --form.strings) {
      const std::size_t start = at;
      std::size_t size = 0;
      if (!read_integer(block, at, 7, size) || size > block.size() - at) {
        at = block.size();
        break;
      }
      const std::string_view text = block.substr(at, size);
      at += size;
      if ((byte(block, start) & 0x80) == 0 || !is_overlong(text)) continue;
      if (copied == 0) out.clear();
      out.append(block.substr(copied, start - copied));
      append_integer(out, 0x80, 7, size - 1);
      out.append(text.substr(0, size - 1));
      copied = at;
    }
  }
  if (copied == 0) return false;
  out.append(block.substr(copied));
  return true;
}

// ---- frames

bool H2HeadMender::holds_head() const {
  return held_.size() >= kFrameHead;
}

void H2HeadMender::let_go() {
  if (!holds_head()) return;
  skip_ = scanned_;
  const std::string_view last = std::string_view(held_).substr(scanned_);
  if (last.size() >= kFrameHead) skip_ += Frame(last).size();
}

// Whether something can be said of it.
bool H2HeadMender::held_is_enough() {
  if (skip_ > 0) return true;
  if (held_.size() < kFrameHead) return false;
  if (byte(held_, 3) != NGHTTP2_HEADERS || extent_of_head(held_, scanned_) != Extent::partial) return true;
  if (held_.size() <= most_held_) return false;
  let_go();
  return true;
}

std::string_view H2HeadMender::take(std::string_view& bytes) {
  if (!held_.empty()) {
    held_.append(std::exchange(bytes, {}));
    if (!held_is_enough()) return {};
    given_ = std::move(held_);
    held_ = std::string();
    bytes = given_;
  } else if (bytes.empty()) {
    if (given_.capacity() + mended_.capacity() > 64) given_ = mended_ = std::string();
    return {};
  }
  scanned_ = 0;
  std::size_t clean = 0;
  while (clean < bytes.size()) {
    const std::string_view rest = bytes.substr(clean);
    if (skip_ > 0) {
      const std::size_t n = std::min(skip_, rest.size());
      skip_ -= n;
      clean += n;
      continue;
    }
    std::size_t end = 0;
    Extent extent = Extent::partial;
    if (rest.size() >= kFrameHead) {
      const Frame frame(rest);
      extent = frame.type == NGHTTP2_HEADERS ? extent_of_head(rest, end) : Extent::broken;
      if (extent == Extent::broken && end == 0) end = frame.size();
    }
    if (extent == Extent::whole && mend(rest.substr(0, end))) {
      if (clean > 0) break;
      bytes.remove_prefix(end);
      return mended_;
    }
    if (extent == Extent::partial) {
      held_ = rest;
      bytes = bytes.substr(0, clean);
      break;
    }
    skip_ = end;
  }
  const std::string_view passed = bytes.substr(0, clean);
  bytes.remove_prefix(clean);
  return passed;
}

// Whole frames: true when they are put into mended_ otherwise.
bool H2HeadMender::mend(std::string_view head) {
  const Frame first(head);
  std::string_view priority;
  std::string_view block;
  std::string joined;
  for (std::string_view rest = head; !rest.empty(); rest.remove_prefix(Frame(rest).size())) {
    const Frame frame(rest);
    std::string_view payload = rest.substr(kFrameHead, frame.length);
    if (frame.type == NGHTTP2_HEADERS) {
      if ((frame.flags & NGHTTP2_FLAG_PADDED) != 0) {
        if (payload.empty() || byte(payload, 0) >= payload.size()) return false;
        payload = payload.substr(1, payload.size() - 1 - byte(payload, 0));
      }
      if ((frame.flags & NGHTTP2_FLAG_PRIORITY) != 0) {
        if (payload.size() < kPriority) return false;
        priority = payload.substr(0, kPriority);
        payload.remove_prefix(kPriority);
      }
    }
    if (frame.size() == head.size()) {
      block = payload;
    } else {
      joined.append(payload);
    }
  }
  if (block.data() == nullptr) block = joined;
  std::string better;
  if (!mend_header_block(block, better)) return false;

  std::string_view left = better;
  unsigned type = NGHTTP2_HEADERS;
  unsigned flags = first.flags & (NGHTTP2_FLAG_END_STREAM | NGHTTP2_FLAG_PRIORITY);
  mended_.clear();
  do {
    const std::string_view part = left.substr(0, kMostPayload - priority.size());
    left.remove_prefix(part.size());
    if (left.empty()) flags |= NGHTTP2_FLAG_END_HEADERS;
    const std::size_t length = priority.size() + part.size();
    for (const int shift : {16, 8, 0}) mended_.push_back(static_cast<char>(length >> shift));
    mended_.push_back(static_cast<char>(type));
    mended_.push_back(static_cast<char>(flags));
    mended_.append(first.stream).append(std::exchange(priority, {})).append(part);
    type = NGHTTP2_CONTINUATION;
    flags = 0;
  } while (!left.empty());
  return true;
}

}  // namespace mp::upstream
