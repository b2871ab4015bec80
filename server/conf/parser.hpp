// Parser: source texts to a tree, with includes replaced by what they include. Works on behalf of one
// Configuration, whose arena and Sources own what it makes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.hpp"
#include "conf/diagnostic.hpp"
#include "conf/lexer.hpp"
#include "conf/node.hpp"
#include "conf/source.hpp"

namespace mp::conf {

class Parser {
 public:
  // Deeper nesting than any configuration has a use for is refused: it would exhaust the stack.
  static constexpr unsigned kMaxIncludes = 64;
  static constexpr unsigned kMaxBlocks = 200;

  // Relative names in `include` are below `conf_prefix`.
  Parser(Arena& arena, Sources& sources, std::string_view conf_prefix)
      : arena_(arena), sources_(sources), conf_prefix_(conf_prefix) {}

  // The whole text `file` of the sources. When it has an error the list ends with an error node, at
  // whatever depth the error was met, and error() describes it.
  NodeList parse(std::uint32_t file);

  const std::optional<Diagnostic>& error() const { return error_; }

 private:
  using Nodes = std::vector<Node>;

  // Appends the directives up to the end of the block or the text; false after an error.
  bool parse_list(Lexer& lexer, const Node* block, Nodes& out, Position* close);
  bool parse_block(Lexer& lexer, Node& node);
  bool parse_include(const Node& node, Nodes& out);
  bool include_file(const Node& node, std::string_view path, Nodes& out);
  bool fail(Diagnostic diagnostic, Nodes& out);
  Node make_node(const std::vector<Arg>& words, Position end);
  NodeList keep(const Nodes& nodes);

  Arena& arena_;
  Sources& sources_;
  std::string_view conf_prefix_;
  std::vector<Arg> words_;
  unsigned includes_ = 0;
  unsigned blocks_ = 0;
  std::optional<Diagnostic> error_;
};

}  // namespace mp::conf
