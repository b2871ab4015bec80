// Writing text behind text, where the room is known to suffice: each call returns the end of what it wrote.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace mp {

// Not inline: it is called for every piece of a head, and the caller is smaller without it.
char* put(char* p, std::string_view text);

// A constant.
template <std::size_t N>
char* put(char* p, const char (&text)[N]) {
  std::memcpy(p, text, N - 1);
  return p + N - 1;
}

}  // namespace mp
