#include "conf/lexer.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

using mp::Arena;
using mp::conf::Arg;
using mp::conf::Lexer;

namespace {

// "name|arg;" "name{" "}" ... one after the other; "!message@line" for an error.
std::string lex(std::string_view text, bool is_file = true) {
  Arena arena;
  Lexer lexer(text, 0, is_file, arena);
  std::vector<Arg> words;
  std::string out;
  while (true) {
    const Lexer::Found found = lexer.next(words);
    if (found == Lexer::Found::end) return out;
    if (found == Lexer::Found::error) {
      return out + "!" + lexer.error().text + "@" + std::to_string(lexer.error().where.line);
    }
    for (std::size_t i = 0; i < words.size(); ++i) (out += i == 0 ? "" : "|") += words[i].text;
    out += found == Lexer::Found::semicolon ? ";" : found == Lexer::Found::block_start ? "{" : "}";
  }
}

std::string lua(std::string_view text) {
  Arena arena;
  Lexer lexer(text, 0, true, arena);
  std::vector<Arg> words;
  REQUIRE(lexer.next(words) == Lexer::Found::block_start);
  std::string_view body;
  if (!lexer.lua_body(body)) {
    return "!" + lexer.error().text + "@" + std::to_string(lexer.error().where.line);
  }
  const std::string result(body);
  const bool more = lexer.next(words) == Lexer::Found::semicolon && words[0].text == "after";
  return more ? result : "wrong end: " + result;
}

constexpr const char* kUnterminated = "unexpected end of file, expecting \";\" or \"}\"";

}  // namespace

TEST_CASE("lexer: directives, blocks and blanks", "[conf]") {
  CHECK(lex("") == "");
  CHECK(lex(" \t\r\n # nothing\n#") == "");
  CHECK(lex("a;") == "a;");
  CHECK(lex("a b\tc\r\nd ;") == "a|b|c|d;");
  CHECK(lex("a{b c;}d;") == "a{b|c;}d;");
  CHECK(lex("a { } # x { ; }\n b;") == "a{}b;");
  CHECK(lex("a#b c;") == "a#b|c;");  // a comment starts where a word could
  CHECK(lex("a # b;\n c;") == "a|c;");
  CHECK(lex("a} b;") == "a}|b;");  // inside a word '}' is nothing special
}

TEST_CASE("lexer: quotes and escapes", "[conf]") {
  CHECK(lex("a 'b c' \"d;{}#\";") == "a|b c|d;{}#;");
  CHECK(lex("a '' \"\";") == "a||;");
  CHECK(lex(R"(a "x\"y" 'x\'y' x\"y;)") == "a|x\"y|x'y|x\"y;");
  CHECK(lex(R"(a "\t\r\n\\" '\t';)") == "a|\t\r\n\\|\t;");
  CHECK(lex(R"(a ^\.\d+$ "\.(gif|png)$";)") == R"(a|^\.\d+$|\.(gif|png)$;)");
  CHECK(lex(R"(a b\;c\ d\{;)") == R"(a|b\;c\ d\{;)");
  CHECK(lex(R"(a \"b;)") == "a|\"b;");
  CHECK(lex("a b\"c\"d'e';") == "a|b\"c\"d'e';");  // quotes count at the start of a word only
  CHECK(lex("a 'two\nlines';b") == std::string("a|two\nlines;!") + kUnterminated + "@2");
  CHECK(lex("if (\"$a\" = 'b') {}") == "if|(\"$a\"|=|b|){}");
  CHECK(lex("'quoted' x;") == "quoted|x;");
}

TEST_CASE("lexer: a brace after a dollar belongs to the variable", "[conf]") {
  CHECK(lex("a ${b}c $d{e;}") == "a|${b}c|$d{e;}");
  CHECK(lex("a x${b};") == "a|x${b};");
  CHECK(lex("a $;{") == "a|$;!unexpected \"{\"@1");
  CHECK(lex("a ${{b;") == "a|${{b;");
}

TEST_CASE("lexer: what is not understood", "[conf]") {
  CHECK(lex(";") == "!unexpected \";\"@1");
  CHECK(lex("\n{") == "!unexpected \"{\"@2");
  CHECK(lex("a\nb }") == "!unexpected \"}\"@2");
  CHECK(lex("a 'b'c;") == "!unexpected \"c\"@1");
  CHECK(lex("a 'b'#;") == "!unexpected \"#\"@1");
  CHECK(lex("a 'b'}") == "!unexpected \"}\"@1");
  CHECK(lex("a\nb\n") == std::string("!") + kUnterminated + "@3");
  CHECK(lex("a") == std::string("!") + kUnterminated + "@1");
  CHECK(lex("a 'b") == std::string("!") + kUnterminated + "@1");
  CHECK(lex("a 'b'") == std::string("!") + kUnterminated + "@1");
  CHECK(lex("a b\\") == std::string("!") + kUnterminated + "@1");
  CHECK(lex("daemon off", false) == "!unexpected end of parameter, expecting \";\"@1");
}

TEST_CASE("lexer: the length of a parameter is limited", "[conf]") {
  const std::string fits(4095, 'x');
  CHECK(lex("a " + fits + ";") == "a|" + fits + ";");
  CHECK(lex("a '" + fits + "';") == "a|" + fits + ";");
  CHECK(lex("\na " + fits + "x; b;") == "!too long parameter \"xxxxxxxxxx...\" started@2");
  CHECK(lex("a '" + fits + "x'; b;") ==
        "!too long parameter, probably missing terminating \"'\" character@1");
  CHECK(lex("a\n\"" + fits + "\n\n x;") ==
        "!too long parameter, probably missing terminating \"\"\" character@2");
  CHECK(lex("# " + fits + fits + "\na;") == "a;");
  CHECK(lex("a " + fits + "x;", false) == "a|" + fits + "x;");
}

TEST_CASE("lexer: positions", "[conf]") {
  Arena arena;
  Lexer lexer("\n  first  'sec\nond'\n third ;", 7, true, arena);
  std::vector<Arg> words;
  REQUIRE(lexer.next(words) == Lexer::Found::semicolon);
  REQUIRE(words.size() == 3);
  CHECK((words[0].position.file == 7 && words[0].position.line == 2 && words[0].position.column == 3));
  CHECK(words[0].length == 5);
  CHECK_FALSE(words[0].quoted);
  CHECK((words[1].position.line == 2 && words[1].position.column == 10));
  CHECK(words[1].length == 9);
  CHECK(words[1].quoted);
  CHECK((words[2].position.line == 4 && words[2].position.column == 2));
  CHECK((lexer.last().line == 4 && lexer.last().column == 8));
}

TEST_CASE("lexer: Lua bodies end at the brace that closes them", "[conf]") {
  const std::string body =
      GENERATE(as<std::string>{},  //
               "", " ", "\n\n  return 1\n", "local t = {{1}, {2, {3}}}",
               R"lua(ngx.say("}1, 2)") ngx.say('{1, 2)'))lua",  //
               R"lua(ngx.say("\"}1, 2)") ngx.say('\'{1, 2)'))lua",
               R"(x = "\\" y = '\\' z = {"}\\"})",  //
               "--[[\n {{{ \n }\n]]\n--[==[ }}} ]] ]=] { ]==] x()", "--[[ ]=]\n '  \"\n } ]] ngx.say('ok')",
               "--}} {}\nngx.say('ok')", "ngx.say([[ok--]]) ngx.say([==[ok-- ]==]) --[[ --]] ngx.say('done')",
               "print([[Hey, it is \"!]])", "print([[Hey, it is '!]])", "local s = [=[ ]] } ]=]",
               "ngx.say(t1[t2[1]])", "]=]", "a = b[c[1]] -- it's }}}\n", "--[ } \n", "--[= } \n",
               "--[==x } \n", "local u = [==\n", "x = \"a\\\n}\"", "x = \"a\\z \n  }\"", "x = 'don\\'t }'",
               "it's {} not closed\n", "- - [[}]]", "---[[ }\n", "----[[ }\n", "--[[--]]", "--[[]]", "[[]]",
               "[[]]]", "[==[]]==]]==]", "# is length: #{1, 2} .. '#}'", "x = \"${a}\" y = '$' z = {}; ;;",
               "local a = 'x' .. \"}\" .. [[}]] --}\n", "f{[ [[}]] ] = 1}", "\xff\xfe\x01 bytes \xc3\xa4",
               std::string("nul \0 byte", 10), std::string(20000, 'x') + "{}");
  CAPTURE(body);
  CHECK(lua("x_by_lua_block {" + body + "} after;") == body);
}

TEST_CASE("lexer: Lua bodies that do not end", "[conf]") {
  const std::string end = "!unexpected end of file, expecting terminating characters for lua code block@";
  CHECK(lua("a {\n x = 1\n") == end + "1");
  CHECK(lua("a {\n x = {\n 1\n") == end + "2");
  CHECK(lua("a { -- }") == end + "1");
  CHECK(lua("a { \"}\"") == end + "1");
  const auto missing = [](std::string bracket, int line) {
    return "!Lua code block missing the closing long bracket \"" + bracket +
           "\", the inlined Lua code may be too long@" + std::to_string(line);
  };
  CHECK(lua("a {\n ngx.say([[hello) }\n}") == missing("]]", 2));
  CHECK(lua("a {\n ngx.say([==[hello ]] ]=]) }\n}") == missing("]==]", 2));
  CHECK(lua("a {\n\n ngx.say(--[[hello) }\n}") == missing("]]", 3));
  CHECK(lua("a { --[=[ ]] }") == missing("]=]", 1));
}

TEST_CASE("lexer: lines are counted through Lua bodies", "[conf]") {
  Arena arena;
  Lexer lexer("a_by_lua_block {\n[[\n]] '\\\n' --\n--[[\n]]}\nb;", 0, true, arena);
  std::vector<Arg> words;
  REQUIRE(lexer.next(words) == Lexer::Found::block_start);
  std::string_view body;
  REQUIRE(lexer.lua_body(body));
  CHECK(lexer.last().line == 6);
  REQUIRE(lexer.next(words) == Lexer::Found::semicolon);
  CHECK((words[0].position.line == 7 && words[0].position.column == 1));
}
