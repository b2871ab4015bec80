#include "base/sql.hpp"

#include "base/utf8.hpp"

namespace mp {
namespace {

// The letter that stands behind the backslash; 0: the character needs none.
char letter_for(char c) {
  switch (c) {
    case '\0':
      return '0';
    case '\b':
      return 'b';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    case 26:
      return 'Z';
    case '\\':
    case '\'':
    case '"':
      return c;
    default:
      return 0;
  }
}

}  // namespace

char* quote_sql_into(char* out, std::string_view text) {
  *out++ = '\'';
  for (const char c : text) {
    const char letter = letter_for(c);
    if (letter != 0) *out++ = '\\';
    *out++ = letter != 0 ? letter : c;
  }
  *out++ = '\'';
  return out;
}

char* quote_pgsql_into(char* out, std::string_view text) {
  *out++ = 'E';
  *out++ = '\'';
  while (!text.empty()) {
    const Utf8Char c = decode_utf8(text);
    const auto byte = static_cast<unsigned char>(text[0]);
    const char letter = byte == 26 || byte == 0 ? '\0' : letter_for(text[0]);
    if (letter != 0) {
      *out++ = '\\';
      *out++ = letter;
    } else if (!c.valid() || byte == 26 || byte == 0) {
      *out++ = '\\';
      *out++ = static_cast<char>('0' + (byte >> 6));
      *out++ = static_cast<char>('0' + ((byte >> 3) & 7));
      *out++ = static_cast<char>('0' + (byte & 7));
    } else {
      out += text.copy(out, c.size);
    }
    text.remove_prefix(c.size);
  }
  *out++ = '\'';
  return out;
}

}  // namespace mp
