#include "conf/lexer.hpp"

namespace mp::conf {

namespace {

constexpr bool is_blank_char(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

constexpr std::size_t kNoBracket = std::size_t(-1);

}  // namespace

std::string missing_semicolon_hint(std::uint32_t line) {
  return "is a \";\" missing at the end of line " + std::to_string(line) + "?";
}

void Lexer::step() {
  if (text_[at_++] == '\n') {
    ++line_;
    line_start_ = at_;
  }
}

bool Lexer::fail(Position where, std::string text) {
  error_.text = std::move(text);
  error_.where = error_.marked = where;
  return false;
}

Lexer::Found Lexer::unexpected(char c) {
  fail(here(), std::string("unexpected \"") + c + "\"");
  return Found::error;
}

Lexer::Found Lexer::unexpected_end(const std::vector<Arg>& words) {
  fail(here(), is_file_ ? "unexpected end of file, expecting \";\" or \"}\""
                        : "unexpected end of parameter, expecting \";\"");
  if (!words.empty()) {
    error_.marked = words.front().position;
    error_.length = words.front().length;
  }
  return Found::error;
}

Lexer::Found Lexer::too_long(const Arg& arg, std::size_t start, char quote) {
  constexpr std::size_t kShown = 10;
  fail(arg.position,
       quote != 0
           ? std::string("too long parameter, probably missing terminating \"") + quote + "\" character"
           : "too long parameter \"" + std::string(text_.substr(start, kShown)) + "...\" started");
  return Found::error;
}

void Lexer::skip_blank() {
  bool comment = false;
  for (; !at_end(); step()) {
    const char c = peek();
    if (comment) {
      comment = c != '\n';
    } else if (c == '#') {
      comment = true;
    } else if (!is_blank_char(c)) {
      return;
    }
  }
}

Lexer::Found Lexer::next(std::vector<Arg>& words) {
  words.clear();
  while (true) {
    skip_blank();
    if (at_end()) return words.empty() ? Found::end : unexpected_end(words);
    const char c = peek();
    if (c == ';' || c == '{') {
      if (words.empty()) return unexpected(c);
      step();
      return c == ';' ? Found::semicolon : Found::block_start;
    }
    if (c == '}') {
      if (!words.empty()) {
        unexpected(c);
        error_.hint = missing_semicolon_hint(words.back().position.line);
        return Found::error;
      }
      step();
      return Found::block_end;
    }
    // A word tells how it ended: anything but `end` ends the directive, too.
    const Found found = c == '"' || c == '\'' ? quoted_word(words) : bare_word(words);
    if (found != Found::end) return found;
  }
}

Lexer::Found Lexer::quoted_word(std::vector<Arg>& words) {
  Arg arg{.position = here(), .quoted = true};
  const std::size_t opened = at_;
  const char quote = peek();
  step();
  const std::size_t start = at_;
  while (true) {
    if (at_end()) {
      words.push_back(arg);
      words.back().length = 1;
      return unexpected_end({words.back()});
    }
    if (is_file_ && at_ - start >= kMaxParameter) return too_long(arg, start, quote);
    const char c = peek();
    step();
    if (c == '\\' && !at_end()) {
      step();
    } else if (c == quote) {
      break;
    }
  }
  arg.text = unescape(text_.substr(start, at_ - 1 - start));
  arg.length = std::uint32_t(at_ - opened);
  words.push_back(arg);

  // Only a blank, the end of the directive or the ')' of an `if` may follow a closing quote.
  if (at_end()) return unexpected_end(words);
  const char c = peek();
  if (is_blank_char(c) || c == ')') return Found::end;
  if (c != ';' && c != '{') return unexpected(c);
  step();
  return c == ';' ? Found::semicolon : Found::block_start;
}

Lexer::Found Lexer::bare_word(std::vector<Arg>& words) {
  Arg arg{.position = here()};
  const std::size_t start = at_;
  bool after_dollar = false;  // a '{' then belongs to ${name}
  while (true) {
    if (at_end()) return unexpected_end(words.empty() ? std::vector<Arg>{arg} : words);
    if (is_file_ && at_ - start >= kMaxParameter) return too_long(arg, start, 0);
    const char c = peek();
    if (c == '{' && after_dollar) {
      step();
      continue;
    }
    after_dollar = c == '$';
    if (c == '\\') {
      step();
      if (!at_end()) step();
      continue;
    }
    if (is_blank_char(c) || c == ';' || c == '{') break;
    step();
  }
  arg.length = std::uint32_t(at_ - start);
  arg.text = unescape(text_.substr(start, at_ - start));
  words.push_back(arg);
  return Found::end;
}

std::string_view Lexer::unescape(std::string_view raw) {
  if (raw.find('\\') == std::string_view::npos) return raw;
  char* out = arena_.bytes(raw.size());
  char* p = out;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const char next = raw[i] == '\\' && i + 1 < raw.size() ? raw[i + 1] : '\0';
    switch (next) {
      case '"':
      case '\'':
      case '\\':
        *p++ = next;
        ++i;
        break;
      case 't':
        *p++ = '\t';
        ++i;
        break;
      case 'r':
        *p++ = '\r';
        ++i;
        break;
      case 'n':
        *p++ = '\n';
        ++i;
        break;
      default:  // other escapes, of regular expressions for one, keep their backslash
        *p++ = raw[i];
    }
  }
  return {out, std::size_t(p - out)};
}

// --- Lua text --------------------------------------------------------------------------------------------

bool Lexer::lua_body(std::string_view& body) {
  const std::size_t start = at_;
  Position opened = last();
  std::size_t depth = 1;
  while (!at_end()) {
    const char c = peek();
    if (c == '{') {
      ++depth;
      opened = here();
    } else if (c == '}' && --depth == 0) {
      body = text_.substr(start, at_ - start);
      step();
      return true;
    } else if ((c == '"' || c == '\'') && lua_short_string()) {
      continue;
    } else if (c == '-' && peek(1) == '-') {
      if (const std::size_t level = long_bracket_level(2); level != kNoBracket) {
        step();
        step();
        if (!lua_long_bracket(level)) return false;
      } else {
        while (!at_end() && peek() != '\n') step();
      }
      continue;
    } else if (c == '[') {
      if (const std::size_t level = long_bracket_level(0); level != kNoBracket) {
        if (!lua_long_bracket(level)) return false;
        continue;
      }
    }
    step();
  }
  return fail(opened, "unexpected end of file, expecting terminating characters for lua code block");
}

// Skips a string in quotes. A quote that no other one on the line answers opens none: false, nothing skipped.
bool Lexer::lua_short_string() {
  const char quote = peek();
  for (std::size_t i = at_ + 1; i < text_.size(); ++i) {
    const char c = text_[i];
    if (c == quote) {
      while (at_ <= i) step();
      return true;
    }
    if (c == '\n') return false;
    if (c != '\\') continue;
    ++i;  // an escaped character, a line end included
    if (i < text_.size() && text_[i] == 'z') {
      while (i + 1 < text_.size() && is_blank_char(text_[i + 1])) ++i;
    }
  }
  return false;
}

// How many '=' are between the brackets of "[==[" when one starts `ahead` of here.
std::size_t Lexer::long_bracket_level(std::size_t ahead) const {
  if (peek(ahead) != '[') return kNoBracket;
  std::size_t equals = 0;
  while (peek(ahead + 1 + equals) == '=') ++equals;
  return peek(ahead + 1 + equals) == '[' ? equals : kNoBracket;
}

bool Lexer::lua_long_bracket(std::size_t equals) {
  const std::string closing = ']' + std::string(equals, '=') + ']';
  const std::size_t end = text_.find(closing, at_ + closing.size());
  if (end == std::string_view::npos) {
    return fail(here(), "Lua code block missing the closing long bracket \"" + closing +
                            "\", the inlined Lua code may be too long");
  }
  while (at_ < end + closing.size()) step();
  return true;
}

}  // namespace mp::conf
