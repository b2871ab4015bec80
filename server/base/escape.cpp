#include "base/escape.hpp"

#include <cstring>

#include "base/ascii.hpp"

namespace mp {
namespace {

constexpr char kHexUpper[] = "0123456789ABCDEF";

constexpr CharSet controls() {
  return CharSet().add_range(0, 0x1f);
}
constexpr CharSet beyond_ascii() {
  return controls().add_range(0x7f, 0xff);
}
// What RFC 3986 allows nowhere in a URI.
constexpr CharSet never_in_uri() {
  return beyond_ascii().add(" \"<>\\^`{|}");
}
constexpr CharSet all_but_unreserved() {
  return CharSet().add_range(0, 0xff).remove(
      "-._~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

constexpr CharSet kUriSets[] = {
    never_in_uri().add("#%?"),
    never_in_uri().add("#%&+;?"),
    all_but_unreserved(),
    never_in_uri().add("#%'"),
    never_in_uri().remove("}").add("'~"),  // the established set has '~' where '}' was meant
    controls().add(" %"),
    controls().add(" %"),
    beyond_ascii().add(" #%?"),
    beyond_ascii().add(" #%+?"),
    all_but_unreserved().remove("!'()*"),
    beyond_ascii().add(" \"#%'"),
    beyond_ascii().add(" \"'"),
    controls().add(" %"),
    controls().add(" %"),
    beyond_ascii().add(" \"(),/:;<=>?@[]\\{}"),
    controls().remove("\t").add("\x7f"),
};
static_assert(sizeof(kUriSets) / sizeof(kUriSets[0]) == kUriEscapeCount);

constexpr CharSet kLogSet = beyond_ascii().add("\"\\");

std::size_t count(std::string_view text, const CharSet& set) {
  std::size_t n = 0;
  for (char c : text) n += set.contains(c) ? 1 : 0;
  return n;
}

std::string_view entity(char c) {
  switch (c) {
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '&':
      return "&amp;";
    case '"':
      return "&quot;";
    default:
      return {};
  }
}

// The letter of a two-character JSON escape, or 0.
char json_letter(char c) {
  switch (c) {
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    case '\b':
      return 'b';
    case '\f':
      return 'f';
    case '"':
    case '\\':
      return c;
    default:
      return 0;
  }
}

// `write` fills exactly `size` bytes.
template <class Write>
std::string_view in_arena(Arena& arena, std::string_view text, std::size_t size, Write write) {
  if (size == text.size()) return text;
  char* start = arena.bytes(size);
  write(start, text);
  return {start, size};
}

}  // namespace

std::size_t escaped_uri_size(std::string_view text, UriEscape set) {
  return text.size() + 2 * count(text, kUriSets[static_cast<std::size_t>(set)]);
}

char* escape_uri_into(char* out, std::string_view text, UriEscape set) {
  const CharSet& escaped = kUriSets[static_cast<std::size_t>(set)];
  for (char c : text) {
    if (!escaped.contains(c)) {
      *out++ = c;
      continue;
    }
    *out++ = '%';
    *out++ = kHexUpper[static_cast<unsigned char>(c) >> 4];
    *out++ = kHexUpper[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

std::string_view escape_uri(Arena& arena, std::string_view text, UriEscape set) {
  return in_arena(arena, text, escaped_uri_size(text, set),
                  [&](char* out, std::string_view from) { escape_uri_into(out, from, set); });
}

Unescaped unescape_uri_into(char* out, std::string_view text, Unescape mode) {
  const bool stops = mode != Unescape::all;
  std::size_t i = 0;
  while (i < text.size()) {
    const char c = text[i++];
    if (c != '%') {
      *out++ = c;
      if (c == '?' && stops) break;
      continue;
    }
    if (i == text.size()) break;
    const int high = hex_value(text[i++]);
    if (high < 0) {
      *out++ = text[i - 1];
      continue;
    }
    if (i == text.size()) break;
    const int low = hex_value(text[i++]);
    if (low < 0) continue;
    const char decoded = static_cast<char>(high << 4 | low);
    if (mode == Unescape::redirect && decoded != '?' && !(decoded > '%' && decoded < 0x7f)) {
      const char digits[2] = {text[i - 2], text[i - 1]};  // read first: `out` may be the same memory
      *out++ = '%';
      *out++ = digits[0];
      *out++ = digits[1];
      continue;
    }
    *out++ = decoded;
    if (decoded == '?' && stops) break;
  }
  return {out, i};
}

std::string_view unescape_uri(Arena& arena, std::string_view text, Unescape mode) {
  if (text.find('%') == std::string_view::npos && mode == Unescape::all) return text;
  char* start = arena.bytes(text.size());
  const Unescaped result = unescape_uri_into(start, text, mode);
  // What stands behind the '?' where decoding ends stays as it is.
  const std::string_view rest = text.substr(result.consumed);
  char* const end = result.end + rest.copy(result.end, rest.size());
  return {start, static_cast<std::size_t>(end - start)};
}

char* unescape_form_into(char* out, std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '+') {
      c = ' ';
    } else if (c == '%' && text.size() - i > 2 && is_hex_digit(text[i + 1]) && is_hex_digit(text[i + 2])) {
      c = static_cast<char>(hex_value(text[i + 1]) << 4 | hex_value(text[i + 2]));
      i += 2;
    }
    *out++ = c;
  }
  return out;
}

std::size_t escaped_html_size(std::string_view text) {
  std::size_t size = text.size();
  for (char c : text) {
    if (const std::string_view name = entity(c); !name.empty()) size += name.size() - 1;
  }
  return size;
}

char* escape_html_into(char* out, std::string_view text) {
  for (char c : text) {
    const std::string_view name = entity(c);
    if (name.empty()) {
      *out++ = c;
    } else {
      std::memcpy(out, name.data(), name.size());
      out += name.size();
    }
  }
  return out;
}

std::string_view escape_html(Arena& arena, std::string_view text) {
  return in_arena(arena, text, escaped_html_size(text), escape_html_into);
}

std::size_t escaped_json_size(std::string_view text) {
  std::size_t size = text.size();
  for (char c : text) {
    if (json_letter(c) != 0) {
      size += 1;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      size += 5;
    }
  }
  return size;
}

char* escape_json_into(char* out, std::string_view text) {
  for (char c : text) {
    if (const char letter = json_letter(c); letter != 0) {
      *out++ = '\\';
      *out++ = letter;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      std::memcpy(out, "\\u00", 4);
      out[4] = kHexUpper[c >> 4];
      out[5] = kHexUpper[c & 15];
      out += 6;
    } else {
      *out++ = c;
    }
  }
  return out;
}

std::string_view escape_json(Arena& arena, std::string_view text) {
  return in_arena(arena, text, escaped_json_size(text), escape_json_into);
}

std::size_t escaped_log_size(std::string_view text) {
  return text.size() + 3 * count(text, kLogSet);
}

char* escape_log_into(char* out, std::string_view text) {
  for (char c : text) {
    if (!kLogSet.contains(c)) {
      *out++ = c;
      continue;
    }
    *out++ = '\\';
    *out++ = 'x';
    *out++ = kHexUpper[static_cast<unsigned char>(c) >> 4];
    *out++ = kHexUpper[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

std::string_view escape_log(Arena& arena, std::string_view text) {
  return in_arena(arena, text, escaped_log_size(text), escape_log_into);
}

}  // namespace mp
