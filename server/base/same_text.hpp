// Whether two texts are the same, for texts that mostly are, and short: what was asked for or answered the
// last time.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace mp {

namespace detail {

template <class Word>
inline bool differ(const char* a, const char* b) {
  Word x, y;
  std::memcpy(&x, a, sizeof x);
  std::memcpy(&y, b, sizeof y);
  return x != y;
}
// Both ends of two texts of `size` bytes, which is one to two words.
template <class Word>
inline bool same_ends(const char* a, const char* b, std::size_t size) {
  return !differ<Word>(a, b) && !differ<Word>(a + size - sizeof(Word), b + size - sizeof(Word));
}

}  // namespace detail

// A call of memcmp() costs more than the comparison.
inline bool same_text(std::string_view a, std::string_view b) {
  const std::size_t size = a.size();
  if (size != b.size()) return false;
  if (size > 16) return a == b;
  if (size >= 8) return detail::same_ends<std::uint64_t>(a.data(), b.data(), size);
  if (size >= 4) return detail::same_ends<std::uint32_t>(a.data(), b.data(), size);
  if (size >= 2) return detail::same_ends<std::uint16_t>(a.data(), b.data(), size);
  return size == 0 || a.front() == b.front();
}

}  // namespace mp
