// UTF-8 (RFC 3629): strict decoding, no overlong forms, no surrogates, nothing above U+10FFFF. Pure
// functions over views.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mp {

struct Utf8Char {
  static constexpr char32_t kInvalid = 0xffffffff;
  char32_t code = kInvalid;
  std::size_t size = 1;  // bytes taken; 1 for an invalid byte

  bool valid() const { return code != kInvalid; }
};

// The first character of a non-empty text.
Utf8Char decode_utf8(std::string_view text);

bool is_utf8(std::string_view text);

// The number of characters; the number of bytes when the text is not UTF-8.
std::size_t utf8_length(std::string_view text);

// The first `count` characters; the first `count` bytes when the text is not UTF-8.
std::string_view utf8_prefix(std::string_view text, std::size_t count);

inline constexpr std::size_t kMaxUtf8 = 4;
// Writes one character (at most kMaxUtf8 bytes) and returns the end; `code` must be valid.
char* encode_utf8(char* out, char32_t code);

}  // namespace mp
