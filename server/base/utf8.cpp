#include "base/utf8.hpp"

namespace mp {
namespace {

struct Lead {
  unsigned extra;     // continuation bytes
  char32_t bits;      // of the character, in the lead byte
  char32_t smallest;  // a smaller code is an overlong form
};

// For lead bytes of more than one byte; extra is 0 when `byte` is none.
Lead lead_of(unsigned byte) {
  if (byte >= 0xc2 && byte < 0xe0) return {1, byte & 0x1f, 0x80};
  if (byte >= 0xe0 && byte < 0xf0) return {2, byte & 0x0f, 0x800};
  if (byte >= 0xf0 && byte < 0xf5) return {3, byte & 0x07, 0x10000};
  return {0, 0, 0};
}

}  // namespace

Utf8Char decode_utf8(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return {first, 1};
  const Lead lead = lead_of(first);
  if (lead.extra == 0 || text.size() <= lead.extra) return {};
  char32_t code = lead.bits;
  for (std::size_t i = 1; i <= lead.extra; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xc0) != 0x80) return {};
    code = code << 6 | (byte & 0x3f);
  }
  if (code < lead.smallest || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return {};
  return {code, lead.extra + 1};
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const Utf8Char next = decode_utf8(text);
    if (!next.valid()) return false;
    text.remove_prefix(next.size);
  }
  return true;
}

std::size_t utf8_length(std::string_view text) {
  std::size_t count = 0;
  for (std::string_view rest = text; !rest.empty(); ++count) {
    const Utf8Char next = decode_utf8(rest);
    if (!next.valid()) return text.size();
    rest.remove_prefix(next.size);
  }
  return count;
}

std::string_view utf8_prefix(std::string_view text, std::size_t count) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < count && at < text.size(); ++i) {
    const Utf8Char next = decode_utf8(text.substr(at));
    if (!next.valid()) return text.substr(0, count);
    at += next.size;
  }
  return text.substr(0, at);
}

char* encode_utf8(char* out, char32_t code) {
  if (code < 0x80) {
    *out++ = static_cast<char>(code);
    return out;
  }
  const int extra = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  static constexpr unsigned kLeads[] = {0, 0xc0, 0xe0, 0xf0};
  *out++ = static_cast<char>(kLeads[extra] | code >> (6 * extra));
  for (int i = extra - 1; i >= 0; --i) *out++ = static_cast<char>(0x80 | (code >> (6 * i) & 0x3f));
  return out;
}

}  // namespace mp
