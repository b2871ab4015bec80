#include "base/ascii.hpp"

namespace mp {

std::size_t find_nocase(std::string_view text, std::string_view needle, std::size_t from) {
  if (needle.size() > text.size() || from > text.size() - needle.size()) return std::string_view::npos;
  if (needle.empty()) return from;
  const char low = to_lower(needle[0]);
  const char high = to_upper(needle[0]);
  const std::size_t last = text.size() - needle.size();
  for (std::size_t i = from; i <= last; ++i) {
    if ((text[i] == low || text[i] == high) && equals_nocase(text.substr(i, needle.size()), needle)) return i;
  }
  return std::string_view::npos;
}

char* lower_into(char* out, std::string_view text) {
  const char* p = text.data();
  std::size_t left = text.size();
  for (; left >= 8; left -= 8, p += 8, out += 8) {
    const std::uint64_t word = ascii_detail::lower8(ascii_detail::load(p, 8));
    std::memcpy(out, &word, 8);
  }
  for (; left != 0; --left) *out++ = to_lower(*p++);
  return out;
}

char* upper_into(char* out, std::string_view text) {
  for (char c : text) *out++ = to_upper(c);
  return out;
}

}  // namespace mp
