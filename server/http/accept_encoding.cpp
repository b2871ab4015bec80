#include "http/accept_encoding.hpp"

#include "base/ascii.hpp"
#include "base/strings.hpp"

namespace mp::http {
namespace {

std::string_view skip_spaces(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  return text;
}

// `text` follows "q=" and ends at the next blank or comma.
bool is_positive_weight(std::string_view text) {
  text = text.substr(0, text.find_first_of(", "));
  if (text.empty() || (text.front() != '0' && text.front() != '1')) return false;
  const bool one = text.front() == '1';
  text.remove_prefix(1);
  if (text.empty()) return one;
  if (!consume(text, ".") || text.size() > 3) return false;
  bool has_decimals = false;
  for (char c : text) {
    if (!is_digit(c)) return false;
    has_decimals |= c != '0';
  }
  return one != has_decimals;  // 1.000 or 0.001 and above; not 1.5, not 0
}

}  // namespace

bool accepts_coding(std::string_view value, std::string_view coding) {
  std::size_t at = 0;
  for (;; at += coding.size()) {
    at = find_nocase(value, coding, at);
    if (at == std::string_view::npos) return false;
    if (at == 0 || value[at - 1] == ',' || value[at - 1] == ' ') break;
  }
  std::string_view rest = skip_spaces(value.substr(at + coding.size()));
  if (rest.empty() || rest.front() == ',') return true;
  if (!consume(rest, ";")) return false;
  rest = skip_spaces(rest);
  if (rest.empty()) return true;
  if (!consume(rest, "q") && !consume(rest, "Q")) return false;
  return consume(rest, "=") && is_positive_weight(rest);
}

}  // namespace mp::http
