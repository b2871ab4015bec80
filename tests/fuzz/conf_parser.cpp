// The configuration parser on any text: it ends, its views and positions lie in the text, an error stands at
// the end of the tree, and what was understood means the same after it was written out in quotes and read
// again.
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "conf/diagnostic.hpp"
#include "conf/parser.hpp"

using namespace mp;
using namespace mp::conf;

namespace {

// Nothing on the disk may matter to a run; an escape cannot spell the word in another way.
constexpr std::string_view kReadsFiles = "include";

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

void write(NodeList nodes, std::string& out) {
  for (const Node& node : nodes) {
    if (node.kind == Node::Kind::error) return;
    out += quote(node.name);
    for (const Arg& arg : node.args) out += " " + quote(arg.text);
    if (!node.has_block) {
      out += ";\n";
    } else if (node.has_lua) {
      (out += " {").append(node.lua_body) += "}\n";
    } else {
      out += " {\n";
      write(node.children, out);
      out += "}\n";
    }
  }
}

bool inside(Position position, const Sources& sources) {
  return position.file == 0 && position.line >= 1 && position.column >= 1 &&
         position.column <= sources.line(0, position.line).size() + 2;
}

// Counts the error nodes and checks that each is the last of its list.
std::size_t check(NodeList nodes, const Sources& sources) {
  std::size_t errors = 0;
  for (const Node& node : nodes) {
    if (node.kind == Node::Kind::error) {
      assert(&node + 1 == nodes.end());
      ++errors;
      continue;
    }
    assert(inside(node.position, sources) && inside(node.end, sources));
    for (const Arg& arg : node.args) assert(inside(arg.position, sources));
    const std::size_t within = check(node.children, sources);
    if (node.has_block && within == 0) assert(inside(node.close, sources));
    if (within != 0) assert(&node + 1 == nodes.end());
    errors += within;
  }
  return errors;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bool is_file = data[0] != '-';  // '-': as the text of -g
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (text.find(kReadsFiles) != std::string::npos) return 0;

  Arena arena;
  Sources sources;
  Parser parser(arena, sources, "/");
  const NodeList tree = parser.parse(sources.add("text", text, is_file));
  const std::size_t errors = check(tree, sources);
  assert(errors == (parser.error() ? 1 : 0));
  if (parser.error()) {
    assert(!describe(*parser.error(), sources).empty());
    return 0;
  }

  std::string first;
  write(tree, first);
  Sources again;
  Parser second(arena, again, "/");
  const NodeList copy = second.parse(again.add("copy", first, is_file));
  if (second.error()) {  // backslashes may have made an argument longer than a file may have it
    assert(second.error()->text.starts_with("too long parameter"));
    return 0;
  }
  std::string last;
  write(copy, last);
  assert(first == last);
  return 0;
}
