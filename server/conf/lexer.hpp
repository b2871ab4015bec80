// Lexer: cuts one source text into directive heads and Lua bodies. Used by the parser only; it keeps
// views of the text, and puts the arguments that had escapes into the arena.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.hpp"
#include "conf/diagnostic.hpp"
#include "conf/node.hpp"

namespace mp::conf {

// A further line for errors that a forgotten ';' is the usual cause of.
std::string missing_semicolon_hint(std::uint32_t line);

class Lexer {
 public:
  enum class Found : std::uint8_t { semicolon, block_start, block_end, end, error };

  // As in nginx, an argument of a file stays below this many bytes, counted before escapes are resolved.
  static constexpr std::size_t kMaxParameter = 4096;

  Lexer(std::string_view text, std::uint32_t file, bool is_file, Arena& arena)
      : text_(text), file_(file), is_file_(is_file), arena_(arena) {}

  // Reads up to the next ';', '{' or '}'. `words` gets the name and the arguments before it.
  Found next(std::vector<Arg>& words);

  // To be called behind the '{' of a Lua block: takes everything up to the '}' that closes it. Braces in
  // strings and comments of the Lua text do not count. False: there is an error().
  bool lua_body(std::string_view& body);

  // The last character that was read: the ';', '{' or '}'.
  Position last() const { return {file_, line_, column_of(at_ == 0 ? 0 : at_ - 1)}; }
  Position here() const { return {file_, line_, column_of(at_)}; }
  bool is_file() const { return is_file_; }

  const Diagnostic& error() const { return error_; }

 private:
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  bool at_end() const { return at_ >= text_.size(); }
  void step();
  std::uint32_t column_of(std::size_t offset) const { return std::uint32_t(offset - line_start_ + 1); }

  Found unexpected(char c);
  Found unexpected_end(const std::vector<Arg>& words);
  Found too_long(const Arg& arg, std::size_t start, char quote);
  bool fail(Position where, std::string text);
  void skip_blank();
  Found quoted_word(std::vector<Arg>& words);
  Found bare_word(std::vector<Arg>& words);
  std::string_view unescape(std::string_view raw);

  bool lua_short_string();
  bool lua_long_bracket(std::size_t equals);
  std::size_t long_bracket_level(std::size_t ahead) const;

  std::string_view text_;
  std::uint32_t file_;
  bool is_file_;
  Arena& arena_;
  std::size_t at_ = 0;
  std::size_t line_start_ = 0;
  std::uint32_t line_ = 1;
  Diagnostic error_;
};

}  // namespace mp::conf
