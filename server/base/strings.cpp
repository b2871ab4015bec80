#include "base/strings.hpp"

#include <algorithm>
#include <cstring>

namespace mp {

std::string_view lower(Arena& arena, std::string_view text) {
  if (std::none_of(text.begin(), text.end(), is_upper)) return text;
  char* copy = arena.bytes(text.size());
  lower_into(copy, text);
  return {copy, text.size()};
}

const char* c_string(Arena& arena, std::string_view text) {
  char* copy = arena.bytes(text.size() + 1);
  if (!text.empty()) std::memcpy(copy, text.data(), text.size());
  copy[text.size()] = '\0';
  return copy;
}

}  // namespace mp
