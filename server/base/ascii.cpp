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
  using namespace ascii_detail;
  const char* const p = text.data();
  const std::size_t size = text.size();
  const auto put8 = [&](std::size_t at) {
    const std::uint64_t word = lower8(load(p + at, 8));
    std::memcpy(out + at, &word, 8);
  };
  if (size < 8) {
    for (std::size_t i = 0; i < size; ++i) out[i] = to_lower(p[i]);
    return out + size;
  }
  for (std::size_t at = 0; at + 8 < size; at += 8) put8(at);
  put8(size - 8);  // may be the second time for some, which changes nothing
  return out + size;
}

char* upper_into(char* out, std::string_view text) {
  for (char c : text) *out++ = to_upper(c);
  return out;
}

}  // namespace mp
