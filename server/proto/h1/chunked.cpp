#include "proto/h1/chunked.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/ascii.hpp"
#include "base/numbers.hpp"
#include "base/strings.hpp"

namespace mp::proto {
namespace {

constexpr std::uint64_t kMaxBody = std::numeric_limits<std::int64_t>::max();
constexpr unsigned kMaxDigits = 16;

// Trailers must not change what was decided from the header (RFC 9110 6.5.1).
bool is_forbidden_trailer(http::HeaderId id) {
  switch (id) {
    case http::HeaderId::content_length:
    case http::HeaderId::host:
    case http::HeaderId::content_encoding:
    case http::HeaderId::content_type:
    case http::HeaderId::content_range:
    case http::HeaderId::authorization:
    case http::HeaderId::cookie:
    case http::HeaderId::set_cookie:
    case http::HeaderId::expect:
    case http::HeaderId::range:
    case http::HeaderId::cache_control:
    case http::HeaderId::max_forwards:
      return true;
    default:
      return http::is_hop_by_hop(id);
  }
}

}  // namespace

ChunkedDecoder::Event ChunkedDecoder::next(std::string_view input) {
  consumed_ = 0;
  data_ = {};
  while (state_ < State::done && consumed_ < input.size()) {
    if (state_ == State::payload) {
      const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size() - consumed_));
      data_ = input.substr(consumed_, size);
      consumed_ += size;
      total_ += size;
      left_ -= size;
      if (left_ == 0) state_ = State::payload_cr;
      return Event::data;
    }
    if (!step(input[consumed_])) {
      state_ = State::error;
      break;
    }
    ++consumed_;
  }
  if (state_ == State::done) return Event::done;
  return state_ == State::error ? Event::error : Event::need_more;
}

ChunkedDecoder::Event ChunkedDecoder::decode_in_place(char* buffer, std::size_t size, std::size_t* payload) {
  std::size_t read = 0;
  *payload = 0;
  for (;;) {
    const Event event = next({buffer + read, size - read});
    read += consumed_;
    if (event != Event::data) {
      consumed_ = read;
      return event;
    }
    std::memmove(buffer + *payload, data_.data(), data_.size());
    *payload += data_.size();
  }
}

// One byte of framing; false when it must not be there.
bool ChunkedDecoder::step(char c) {
  switch (state_) {
    case State::size_start:
    case State::size:
    case State::size_blank:
    case State::extension:
      return step_size(c);
    case State::size_lf:
      state_ = left_ != 0 ? State::payload : State::trailer_start;
      if (left_ != 0) chunk_ = left_;
      return c == '\n';
    case State::payload_cr:
      state_ = State::payload_lf;
      return c == '\r';
    case State::payload_lf:
      state_ = State::size_start;
      return c == '\n';
    case State::trailer_start:
    case State::trailer_name:
    case State::trailer_value:
    case State::trailer_lf:
      return step_trailer(c);
    case State::end_lf:
      state_ = State::done;
      return c == '\n';
    case State::payload:
    case State::done:
    case State::error:
      break;
  }
  return false;
}

bool ChunkedDecoder::step_size(char c) {
  if (state_ == State::size_start || state_ == State::size) {
    if (const int digit = hex_value(c); digit >= 0) {
      if (state_ == State::size_start) {
        left_ = 0;
        digits_ = 0;
        extension_ = 0;
        state_ = State::size;
      }
      if (++digits_ > kMaxDigits || left_ > (kMaxBody >> 4)) return false;
      left_ = left_ << 4 | static_cast<unsigned>(digit);
      return left_ <= kMaxBody - total_;
    }
    if (state_ == State::size_start) return false;
  }
  if (c == '\r') {
    state_ = State::size_lf;
    return true;
  }
  if (++extension_ > options_.max_extension || ++overhead_ > options_.max_overhead) return false;
  if (state_ == State::extension) return !is_control(c) || c == '\t';
  if (is_blank(c)) {
    state_ = State::size_blank;
    return true;
  }
  state_ = State::extension;
  return c == ';';
}

bool ChunkedDecoder::keep_trailer(char c) {
  if (trailer_.size() >= options_.max_trailers) return false;
  trailer_.push_back(c);
  return true;
}

bool ChunkedDecoder::step_trailer(char c) {
  switch (state_) {
    case State::trailer_start:
      if (c == '\r') {
        state_ = State::end_lf;
        return true;
      }
      state_ = State::trailer_name;
      return kTokenChars.contains(c) && ++trailer_fields_ <= options_.max_trailer_fields && keep_trailer(c);
    case State::trailer_name:
      if (c == ':') {
        state_ = State::trailer_value;
      } else if (!kTokenChars.contains(c)) {
        return false;
      }
      return keep_trailer(c);
    case State::trailer_value:
      if (c == '\r') {
        state_ = State::trailer_lf;
        return true;
      }
      return (!is_control(c) || c == '\t') && keep_trailer(c);
    default:
      state_ = State::trailer_start;
      return c == '\n' && keep_trailer(c);
  }
}

std::uint64_t ChunkedDecoder::at_least() const {
  constexpr std::uint64_t kEnd = 5;  // kLastChunk
  switch (state_) {
    case State::size_start:
      return kEnd;
    case State::size:
    case State::size_blank:
    case State::extension:
      return left_ != 0 ? 2 + left_ + 2 + kEnd : 4;
    case State::size_lf:
      return left_ != 0 ? 1 + left_ + 2 + kEnd : 3;
    case State::payload:
      return left_ + 2 + kEnd;
    case State::payload_cr:
      return 2 + kEnd;
    case State::payload_lf:
      return 1 + kEnd;
    case State::trailer_start:
      return 2;
    case State::trailer_name:
      return 5;
    case State::trailer_value:
      return 4;
    case State::trailer_lf:
      return 3;
    case State::end_lf:
      return 1;
    case State::done:
    case State::error:
      break;
  }
  return 0;
}

void ChunkedDecoder::trailers(Arena& arena, http::FieldList& fields) const {
  for (std::string_view line : split(arena.copy(trailer_), '\n')) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view name = line.substr(0, colon);
    const http::HeaderId id = http::header_id(name);
    if (!is_forbidden_trailer(id)) fields.add(name, trim(line.substr(colon + 1)), id);
  }
}

char* write_chunk_head(char* out, std::uint64_t size) {
  out = print_hex(out, size);
  *out++ = '\r';
  *out++ = '\n';
  return out;
}

}  // namespace mp::proto
