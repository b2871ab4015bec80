#include "base/put.hpp"

#include <cstdint>

namespace mp {

// Most texts are short: those need no further call.
char* put(char* p, std::string_view text) {
  const std::size_t size = text.size();
  const char* const from = text.data();
  const auto both_ends = [&]<class Word>(Word first) {
    Word last;
    std::memcpy(&first, from, sizeof(Word));
    std::memcpy(&last, from + size - sizeof(Word), sizeof(Word));
    std::memcpy(p, &first, sizeof(Word));
    std::memcpy(p + size - sizeof(Word), &last, sizeof(Word));
  };
  if (size > 16) {
    std::memcpy(p, from, size);
  } else if (size >= 8) {
    both_ends(std::uint64_t{});
  } else if (size >= 4) {
    both_ends(std::uint32_t{});
  } else if (size != 0) {  // three places that are one, two or three
    p[0] = from[0];
    p[size / 2] = from[size / 2];
    p[size - 1] = from[size - 1];
  }
  return p + size;
}

}  // namespace mp
