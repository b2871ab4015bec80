#include "lua/socket/until.hpp"

#include <cstring>

namespace mp::lua {

Until::Until(std::string_view pattern, bool inclusive)
    : pattern_(pattern), fail_(pattern.size() + 1, 0), inclusive_(inclusive) {
  int k = 0;
  for (std::size_t i = 1; i < pattern_.size(); ++i) {
    while (k > 0 && pattern_[i] != pattern_[static_cast<std::size_t>(k)])
      k = fail_[static_cast<std::size_t>(k)];
    if (pattern_[i] == pattern_[static_cast<std::size_t>(k)]) ++k;
    fail_[i + 1] = k;
  }
}

bool Until::add(Piece& piece, std::string_view text) {
  piece.text.append(text);
  if (piece.limit == 0) return false;
  if (piece.rest <= text.size()) {
    piece.rest = 0;
    return true;
  }
  piece.rest -= text.size();
  return false;
}

bool Until::feed(std::string_view bytes, std::size_t& used, Piece& piece) {
  const std::string_view pattern = pattern_;
  std::size_t i = 0;
  auto finish = [&](bool done) {
    used = i;
    return done;
  };
  while (i < bytes.size()) {
    const auto matched = static_cast<std::size_t>(state_);
    if (bytes[i] == pattern[matched]) {
      ++i;
      if (++state_ < static_cast<int>(pattern.size())) continue;
      state_ = piece.limit != 0 ? -1 : 0;
      if (inclusive_) piece.text.append(pattern);
      return finish(true);
    }
    if (state_ == 0) {
      std::size_t n = 1;
      if (piece.limit == 0) {
        const void* next = std::memchr(bytes.data() + i, pattern[0], bytes.size() - i);
        n = (next != nullptr ? static_cast<const char*>(next) - bytes.data() : bytes.size()) - i;
      }
      const bool full = add(piece, bytes.substr(i, n));
      i += n;
      if (full) return finish(true);
      continue;
    }
    int shorter = fail_[matched];
    while (shorter > 0 && pattern[static_cast<std::size_t>(shorter)] != bytes[i]) {
      shorter = fail_[static_cast<std::size_t>(shorter)];
    }
    if (shorter == 0) {
      // Nothing of the partial match can begin another; this byte is looked at again from the start.
      state_ = 0;
      if (add(piece, pattern.substr(0, matched))) return finish(true);
      continue;
    }
    ++i;
    state_ = shorter + 1;
    if (add(piece, pattern.substr(0, matched - static_cast<std::size_t>(shorter)))) return finish(true);
  }
  return finish(false);
}

}  // namespace mp::lua
