#include "conf/diagnostic.hpp"

#include <algorithm>
#include <string_view>

namespace mp::conf {

namespace {

// One line of an excerpt; longer ones are cut around the marker.
constexpr std::size_t kWidth = 120;

void append_excerpt(std::string& out, const Diagnostic& diagnostic, const Sources& sources) {
  const Position& marked = diagnostic.marked;
  std::string_view text = sources.line(marked.file, marked.line);
  if (text.find_first_not_of(" \t") == std::string_view::npos || marked.column > text.size() + 1) return;

  std::size_t column = marked.column - 1;
  std::size_t length =
      std::max<std::size_t>(std::min<std::size_t>(diagnostic.length, text.size() - column), 1);
  if (column > kWidth / 2 && text.size() > kWidth) {
    const std::size_t cut = column - kWidth / 2;
    text.remove_prefix(cut);
    column -= cut;
  }
  text = text.substr(0, kWidth);
  length = std::min(length, kWidth - column);

  const std::string number = std::to_string(marked.line);
  out.append("\n  ").append(number).append(" | ");
  for (char c : text) out.push_back(static_cast<unsigned char>(c) < 0x20 && c != '\t' ? '.' : c);
  out.append("\n  ").append(number.size(), ' ').append(" | ");
  for (char c : text.substr(0, column)) out.push_back(c == '\t' ? '\t' : ' ');
  out.append(length, '^');
}

}  // namespace

std::string headline(const Diagnostic& diagnostic, const Sources& sources) {
  std::string out = diagnostic.text;
  const Position& where = diagnostic.where;
  if (!where.known() || where.file >= sources.size()) return out;
  const SourceFile& file = sources[where.file];
  out.append(" in ").append(file.name);
  if (file.is_file) out.append(":").append(std::to_string(where.line));
  return out;
}

std::string describe(const Diagnostic& diagnostic, const Sources& sources) {
  std::string out = headline(diagnostic, sources);
  if (diagnostic.marked.known()) append_excerpt(out, diagnostic, sources);
  if (!diagnostic.hint.empty()) out.append("\n").append(diagnostic.hint);
  return out;
}

}  // namespace mp::conf
