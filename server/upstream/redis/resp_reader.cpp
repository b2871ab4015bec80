#include "upstream/redis/resp_reader.hpp"

#include <algorithm>

namespace mp::upstream {
namespace {

constexpr std::int64_t kMostElements = 1LL << 32;
constexpr std::int64_t kLongestString = 1LL << 32;

}  // namespace

// A reply begins. False: nothing begins so.
bool RespReader::begin(char type) {
  constexpr std::string_view kTypes = "+-:$*";
  if (kTypes.find(type) == std::string_view::npos) return false;
  type_ = type;
  in_line_ = true;
  number_ = 0;
  negative_ = digits_ = carriage_return_ = false;
  --pending_;
  return true;
}

// The line that tells how a string or an array goes on is complete.
bool RespReader::end_line() {
  in_line_ = false;
  if (type_ != '$' && type_ != '*') return true;
  if (!digits_) return false;
  if (negative_) return number_ == 1;
  if (type_ == '$') {
    if (number_ > kLongestString) return false;
    blob_ = static_cast<std::uint64_t>(number_) + 2;
    return true;
  }
  if (number_ > kMostElements || pending_ > static_cast<std::uint64_t>(kMostElements)) return false;
  pending_ += static_cast<std::uint64_t>(number_);
  return true;
}

RespReader::State RespReader::feed(std::string_view data, std::size_t& consumed) {
  std::size_t at = 0;
  while (pending_ > 0 || in_line_ || blob_ > 0) {
    if (at == data.size()) {
      consumed = at;
      return State::more;
    }
    if (blob_ > 0) {
      const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(blob_, data.size() - at));
      blob_ -= n;
      at += n;
      continue;
    }
    const char c = data[at++];
    if (!in_line_) {
      if (!begin(c)) return State::invalid;
      continue;
    }
    if (c == '\n') {
      if (!carriage_return_ || !end_line()) return State::invalid;
      continue;
    }
    if (type_ != '$' && type_ != '*') {
      carriage_return_ = c == '\r';
      continue;
    }
    if (carriage_return_) return State::invalid;
    if (c == '\r') {
      carriage_return_ = true;
    } else if (c == '-' && !digits_ && !negative_) {
      negative_ = true;
    } else if (c >= '0' && c <= '9' && number_ <= kMostElements) {
      digits_ = true;
      number_ = number_ * 10 + (c - '0');
    } else {
      return State::invalid;
    }
  }
  consumed = at;
  return State::done;
}

}  // namespace mp::upstream
