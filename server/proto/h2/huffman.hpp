// The Huffman code of HPACK (RFC 7541 section 5.2 and appendix B). Pure functions over constant tables.
#pragma once

#include <cstddef>
#include <string_view>

namespace mp::proto {

// Room that decoding `size` bytes can take: no code is shorter than five bits.
constexpr std::size_t huffman_room(std::size_t size) {
  return size * 8 / 5;
}

// Decodes into `to`, which has the room; returns the end of the text, or null when `coded` is no Huffman
// string. One whole byte of padding is taken where the codes end with a byte, as nginx does.
char* huffman_decode(std::string_view coded, char* to);

}  // namespace mp::proto
