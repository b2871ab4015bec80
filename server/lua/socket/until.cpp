#include "lua/socket/until.hpp"

#include <cstring>

namespace mp::lua {

Until::Until(std::string_view pattern, bool inclusive)
    : pattern_(pattern), fail_(pattern.size() + 1, 0), inclusive_(inclusive) {
  std::size_t k = 0;
  for (std::size_t i = 1; i < pattern_.size(); ++i) {
    while (k > 0 && pattern_[i] != pattern_[k]) k = fail_[k];
    if (pattern_[i] == pattern_[k]) ++k;
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
  std::size_t matched = 0;  // of the pattern, the bytes in front of i
  auto finish = [&](bool done) {
    used = i - matched;
    return done;
  };
  while (i < bytes.size()) {
    if (bytes[i] == pattern[matched]) {
      ++i;
      if (++matched < pattern.size()) continue;
      matched = 0;
      at_end_ = piece.limit != 0;
      if (inclusive_) piece.text.append(pattern);
      return finish(true);
    }
    if (matched == 0) {
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
    const std::size_t before = matched;
    matched = fail_[matched];
    while (matched > 0 && pattern[matched] != bytes[i]) matched = fail_[matched];
    if (matched == 0) {
      // Nothing of the partial match can begin another; this byte is looked at again from the start.
      if (add(piece, pattern.substr(0, before))) return finish(true);
      continue;
    }
    const std::size_t certain = before - matched;
    ++i;
    ++matched;
    if (add(piece, pattern.substr(0, certain))) return finish(true);
  }
  return finish(false);
}

}  // namespace mp::lua
