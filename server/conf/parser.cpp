#include "conf/parser.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include <glob.h>

namespace mp::conf {

namespace {

constexpr std::string_view kLuaSuffix = "_by_lua_block";

Diagnostic at_node(const Node& node, std::string text) {
  return {.text = std::move(text), .where = node.end, .marked = node.position, .length = node.name_length};
}

}  // namespace

NodeList Parser::parse(std::uint32_t file) {
  Nodes nodes;
  Lexer lexer(sources_[file].text, file, sources_[file].is_file, arena_);
  parse_list(lexer, nullptr, nodes, nullptr);
  return keep(nodes);
}

bool Parser::parse_list(Lexer& lexer, const Node* block, Nodes& out, Position* close) {
  while (true) {
    switch (lexer.next(words_)) {
      case Lexer::Found::error:
        return fail(lexer.error(), out);

      case Lexer::Found::block_end:
        if (block != nullptr) {
          *close = lexer.last();
          return true;
        }
        return fail({.text = "unexpected \"}\"", .where = lexer.last(), .marked = lexer.last()}, out);

      case Lexer::Found::end: {
        if (block == nullptr) return true;
        Diagnostic error{.text = "unexpected end of file, expecting \"}\"", .where = lexer.here()};
        error.marked = block->position;
        error.length = block->name_length;
        error.hint = "this block is not closed";
        return fail(std::move(error), out);
      }

      case Lexer::Found::semicolon: {
        const Node node = make_node(words_, lexer.last());
        if (node.name == "include" && node.args.size() == 1) {
          if (!parse_include(node, out)) return false;
        } else {
          out.push_back(node);
        }
        break;
      }

      case Lexer::Found::block_start: {
        Node node = make_node(words_, lexer.last());
        if (!lexer.is_file()) {
          return fail(at_node(node, "block directives are not supported in -g option"), out);
        }
        const bool whole = parse_block(lexer, node);
        out.push_back(node);
        if (!whole) return false;
      }
    }
  }
}

bool Parser::parse_block(Lexer& lexer, Node& node) {
  node.has_block = true;
  Nodes children;
  bool whole = false;
  if (node.name.ends_with(kLuaSuffix)) {
    node.has_lua = true;
    whole = lexer.lua_body(node.lua_body) || fail(lexer.error(), children);
    if (whole) node.close = lexer.last();
  } else if (blocks_ == kMaxBlocks) {
    fail(at_node(node, "blocks are nested too deep"), children);
  } else {
    ++blocks_;
    whole = parse_list(lexer, &node, children, &node.close);
    --blocks_;
  }
  node.children = keep(children);
  return whole;
}

bool Parser::parse_include(const Node& node, Nodes& out) {
  std::string path(node.args[0].text);
  if (!path.starts_with('/')) path.insert(0, conf_prefix_);
  if (path.find('\0') != std::string::npos) {
    return fail(at_node(node, "invalid file name in \"include\" directive"), out);
  }
  if (path.find_first_of("*?[") == std::string::npos) return include_file(node, path, out);

  glob_t matches{};
  const int rc = ::glob(path.c_str(), 0, nullptr, &matches);
  const std::unique_ptr<glob_t, void (*)(glob_t*)> release(&matches, ::globfree);
  if (rc == GLOB_NOMATCH) return true;  // a pattern may well match nothing
  if (rc != 0) {
    const int error = errno;
    return fail(at_node(node, system_error(error, "glob() \"" + path + "\" failed").text), out);
  }
  for (std::size_t i = 0; i < matches.gl_pathc; ++i) {
    if (!include_file(node, matches.gl_pathv[i], out)) return false;
  }
  return true;
}

bool Parser::include_file(const Node& node, std::string_view path, Nodes& out) {
  if (includes_ == kMaxIncludes) {
    Diagnostic error = at_node(node, "includes are nested too deep");
    error.hint = "\"" + std::string(path) + "\" probably includes itself";
    return fail(std::move(error), out);
  }
  const Result<std::uint32_t> file = sources_.open(path);
  if (!file) return fail(at_node(node, file.error().text), out);

  ++includes_;
  Lexer lexer(sources_[*file].text, *file, true, arena_);
  const bool whole = parse_list(lexer, nullptr, out, nullptr);
  --includes_;
  return whole;
}

bool Parser::fail(Diagnostic diagnostic, Nodes& out) {
  Node node;
  node.kind = Node::Kind::error;
  node.position = node.end = diagnostic.where;
  out.push_back(node);
  error_ = std::move(diagnostic);
  return false;
}

Node Parser::make_node(const std::vector<Arg>& words, Position end) {
  Node node;
  node.name = words[0].text;
  node.position = words[0].position;
  node.name_length = words[0].length;
  node.end = end;
  if (words.size() > 1) {
    Arg* args = arena_.array<Arg>(words.size() - 1);
    std::copy(words.begin() + 1, words.end(), args);
    node.args = {args, words.size() - 1};
  }
  return node;
}

NodeList Parser::keep(const Nodes& nodes) {
  if (nodes.empty()) return {};
  Node* copies = arena_.array<Node>(nodes.size());
  std::copy(nodes.begin(), nodes.end(), copies);
  return {copies, nodes.size()};
}

}  // namespace mp::conf
