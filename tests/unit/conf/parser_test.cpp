#include "conf/parser.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <catch2/catch.hpp>

using namespace mp;
using namespace mp::conf;

namespace {

std::string show(NodeList nodes) {
  std::string out;
  for (const Node& node : nodes) {
    if (node.kind == Node::Kind::error) return out + "!";
    out += node.name;
    for (const Arg& arg : node.args) out += "|" + std::string(arg.text);
    if (node.has_lua) {
      out += "<" + std::string(node.lua_body) + ">";
    } else if (node.has_block) {
      out += "{" + show(node.children) + "}";
    } else {
      out += ";";
    }
  }
  return out;
}

// A folder with configuration files, removed at the end.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "mp_conf_XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((std::filesystem::path(path_) / name).parent_path());
    std::ofstream(path_ + "/" + name) << text;
  }
  std::string prefix() const { return path_ + "/"; }

 private:
  std::string path_;
};

struct Parsed {
  explicit Parsed(const std::string& text, std::string prefix = "/etc/")
      : conf_prefix(std::move(prefix)), parser(arena, sources, conf_prefix) {
    tree = parser.parse(sources.add("main.conf", text, true));
  }
  std::string error() const { return parser.error() ? headline(*parser.error(), sources) : std::string(); }

  std::string conf_prefix;
  Arena arena;
  Sources sources;
  Parser parser;
  NodeList tree;
};

}  // namespace

TEST_CASE("parser: a tree of directives and blocks", "[conf]") {
  const Parsed parsed("a 1; b { c 'x y'; d { } } e_by_lua_block $r { return {} } f;");
  CHECK(show(parsed.tree) == "a|1;b{c|x y;d{}}e_by_lua_block|$r< return {} >f;");
  CHECK(parsed.error().empty());
}

TEST_CASE("parser: positions of a node", "[conf]") {
  const Parsed parsed("\n  location  /\n    x\n  {\n a;\n }");
  const Node& node = parsed.tree[0];
  CHECK((node.position.line == 2 && node.position.column == 3));
  CHECK((node.end.line == 4 && node.end.column == 3));
  CHECK((node.close.line == 6 && node.close.column == 2));
  CHECK(node.name_length == 8);
  CHECK((node.args[1].position.line == 3 && node.args[1].position.column == 5));
}

TEST_CASE("parser: errors end the tree where they are", "[conf]") {
  const auto parse = [](const std::string& text) {
    const Parsed parsed(text);
    return show(parsed.tree) + " " + parsed.error();
  };
  CHECK(parse("a; }") == "a;! unexpected \"}\" in main.conf:1");
  CHECK(parse("a { b {\n c;\n }\n") == "a{b{c;}!} unexpected end of file, expecting \"}\" in main.conf:4");
  CHECK(parse("a { b { c;\n d } e; }") == "a{b{c;!}} unexpected \"}\" in main.conf:2");
  CHECK(parse("a { x_by_lua_block { [[ } }") ==
        "a{x_by_lua_block<>} Lua code block missing the closing long bracket \"]]\", the inlined Lua code "
        "may be "
        "too long in main.conf:1");
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "a {";
  CHECK(Parsed(deep).error() == "blocks are nested too deep in main.conf:1");
  std::string fits;
  for (unsigned i = 0; i < Parser::kMaxBlocks; ++i) fits += "a {";
  CHECK(Parsed(fits + std::string(Parser::kMaxBlocks, '}')).error().empty());
}

TEST_CASE("parser: include", "[conf]") {
  const Folder folder;
  folder.write("one.conf", "one; # no newline at the end");
  folder.write("sites/b.conf", "b { c; }");
  folder.write("sites/a.conf", "a;\ninclude one.conf;");
  folder.write("sites/z.txt", "z;");
  folder.write("loop.conf", "x; include loop.conf;");
  folder.write("open.conf", "a {\n b;");
  folder.write("close.conf", "}");
  folder.write("bad.conf", "a;\nb 'c'd;");
  const auto parse = [&](const std::string& text) {
    const Parsed parsed(text, folder.prefix());
    std::string error = parsed.error();
    for (std::size_t at; (at = error.find(folder.prefix())) != error.npos;) {
      error.replace(at, folder.prefix().size(), "DIR/");
    }
    return show(parsed.tree) + (error.empty() ? "" : " " + error);
  };

  SECTION("files and patterns") {
    CHECK(parse("x; include one.conf; y;") == "x;one;y;");
    CHECK(parse("include " + folder.prefix() + "one.conf;") == "one;");
    CHECK(parse("x { include 'sites/*.conf'; }") == "x{a;one;b{c;}}");  // sorted; relative to the main file
    CHECK(parse("include sites/[ab].conf;") == "a;one;b{c;}");
    CHECK(parse("include sites/?.txt;") == "z;");
    CHECK(parse("include nothing/*.conf; x;") == "x;");
    CHECK(parse("include one.conf; include one.conf;") == "one;one;");
  }
  SECTION("an include that is not one stays a directive") {
    CHECK(parse("include; include a b; include x { }") == "include;include|a|b;include|x{}");
  }
  SECTION("errors") {
    CHECK(parse("a;\ninclude missing.conf; b;") ==
          "a;! open() \"DIR/missing.conf\" failed (2: No such file or directory) in main.conf:2");
    CHECK(parse("include sites;") == "! read() \"DIR/sites\" failed (21: Is a directory) in main.conf:1");
    CHECK(parse("x {\n include open.conf; } }") ==
          "x{a{b;!}} unexpected end of file, expecting \"}\" in DIR/open.conf:2");
    CHECK(parse("x { include close.conf;") == "x{!} unexpected \"}\" in DIR/close.conf:1");
    CHECK(parse("x;\ninclude bad.conf;") == "x;a;! unexpected \"d\" in DIR/bad.conf:2");
    const std::string loop = parse("include loop.conf;");
    CHECK(loop.substr(0, 6) == "x;x;x;");
    CHECK(loop.substr(loop.size() - 49) == "! includes are nested too deep in DIR/loop.conf:1");
  }
}

TEST_CASE("sources: every file is read once and dumped under its name", "[conf]") {
  const Folder folder;
  folder.write("main.conf", "include a.conf;\ninclude a.conf;\n");
  folder.write("a.conf", "a;");
  Sources sources;
  Arena arena;
  const std::string prefix = folder.prefix();
  Parser parser(arena, sources, prefix);
  sources.add("command line", "x;", false);
  const auto file = sources.open(prefix + "main.conf");
  REQUIRE(file);
  CHECK(show(parser.parse(*file)) == "a;a;");
  CHECK(sources.dump() == "# configuration file " + prefix +
                              "main.conf:\ninclude a.conf;\ninclude a.conf;\n\n" + "# configuration file " +
                              prefix + "a.conf:\na;\n");
  CHECK(sources.line(*file, 2) == "include a.conf;");
  CHECK(sources.line(*file, 3).empty());
  CHECK(sources.line(*file, 9).empty());
}
