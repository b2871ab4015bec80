#include "base/regex.hpp"

#include <array>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace mp;

namespace {

std::vector<int> offsets_of(const Regex& regex, std::string_view subject, std::size_t start = 0,
                            std::size_t pairs = 4) {
  std::vector<int> offsets(2 * pairs, 77);
  if (!regex.exec(subject, start, offsets)) return {};
  return offsets;
}

}  // namespace

TEST_CASE("regex: matches with and without the JIT", "[base][regex]") {
  for (const Regex::Jit jit : {Regex::Jit::on, Regex::Jit::off}) {
    const auto regex = Regex::compile("(a+)(x)?(b*)", 0, jit);
    REQUIRE(regex);
    CHECK(regex->captures() == 3);
    CHECK(regex->jitted() == (jit == Regex::Jit::on));
    CHECK(offsets_of(*regex, "..aab.") == std::vector<int>{2, 5, 2, 4, -1, -1, 4, 5});
    CHECK(offsets_of(*regex, "aaxb") == std::vector<int>{0, 4, 0, 2, 2, 3, 3, 4});
    CHECK(offsets_of(*regex, "aab.aab", 3, 5) == std::vector<int>{4, 7, 4, 6, -1, -1, 6, 7, -1, -1});
    CHECK(offsets_of(*regex, "aab", 0, 1) == std::vector<int>{0, 3});
    CHECK(regex->exec("xyz", 0, {}).none());
    CHECK(regex->exec("", 0, {}).none());
    CHECK(regex->exec("a", 2, {}).failed());
    CHECK(regex->matches("a"));
  }
}

TEST_CASE("regex: offsets of an earlier match never show", "[base][regex]") {
  const auto wide = Regex::compile("(.)(.)(.)(.)(.)(.)");
  const auto narrow = Regex::compile("(a)|(b)");
  CHECK(offsets_of(*wide, "abcdef", 0, 7).size() == 14);
  CHECK(offsets_of(*narrow, "a", 0, 7) ==
        std::vector<int>{0, 1, 0, 1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1});
  CHECK(offsets_of(*narrow, "b", 0, 3) == std::vector<int>{0, 1, -1, -1, 0, 1});
}

TEST_CASE("regex: more groups than the workspace started with", "[base][regex]") {
  std::string pattern, subject;
  for (int i = 0; i < 100; ++i) {
    pattern += "(.)";
    subject += static_cast<char>('a' + i % 26);
  }
  const auto regex = Regex::compile(pattern);
  REQUIRE(regex);
  const auto offsets = offsets_of(*regex, subject, 0, 101);
  REQUIRE(offsets.size() == 202);
  CHECK(offsets[200] == 99);
  CHECK(offsets[201] == 100);
}

TEST_CASE("regex: options", "[base][regex]") {
  CHECK(Regex::compile("ABC", Regex::kCaseless)->matches("xabc"));
  CHECK_FALSE(Regex::compile("ABC")->matches("xabc"));
  CHECK(Regex::compile("^b", Regex::kMultiline)->matches("a\nb"));
  CHECK(Regex::compile("a.b", Regex::kDotAll)->matches("a\nb"));
  CHECK_FALSE(Regex::compile("b", Regex::kAnchored)->matches("ab"));
  CHECK(Regex::compile("^.$", Regex::kUtf)->matches("\xc3\xa9"));
  CHECK_FALSE(Regex::compile("^.$")->matches("\xc3\xa9"));
  CHECK(Regex::compile("^.$", Regex::kUtf)->exec("\xc3", 0, {}).failed());
  const auto regex = Regex::compile("b");
  CHECK(regex->exec("ab", 1, {}, Regex::kAnchored));
  CHECK(regex->exec("ab", 0, {}, Regex::kAnchored).none());
}

TEST_CASE("regex: the DFA finds the longest match", "[base][regex]") {
  const auto regex = Regex::compile("a|ab|abc");
  std::array<int, 4> offsets{};
  CHECK(regex->exec("xabcd", offsets));
  CHECK(offsets == std::array<int, 4>{1, 2, -1, -1});
  CHECK(regex->exec_dfa("xabcd", 0, offsets));
  CHECK(offsets == std::array<int, 4>{1, 4, -1, -1});
  CHECK(regex->exec_dfa("x", 0, offsets).none());
}

TEST_CASE("regex: compile errors keep the established words", "[base][regex]") {
  CHECK(Regex::compile("a(b").error().text ==
        "pcre2_compile() failed: missing closing parenthesis in \"a(b\"");
  CHECK(Regex::compile("a)b").error().text ==
        "pcre2_compile() failed: unmatched closing parenthesis in \"a)b\" at \")b\"");
  CHECK(Regex::compile("*a").error().text ==
        "pcre2_compile() failed: quantifier does not follow a repeatable item in \"*a\" at \"*a\"");
}

TEST_CASE("regex: named groups", "[base][regex]") {
  const auto regex = Regex::compile("(?<year>\\d+)-(\\d+)-(?<day>\\d+)");
  REQUIRE(regex);
  const auto groups = regex->named_groups();
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].name == "day");
  CHECK(groups[0].number == 3);
  CHECK(groups[1].name == "year");
  CHECK(groups[1].number == 1);
  CHECK(Regex::compile("(a)")->named_groups().empty());
}

TEST_CASE("regex: limits end a runaway match", "[base][regex]") {
  const std::string subject(40, 'a');
  for (const Regex::Jit jit : {Regex::Jit::on, Regex::Jit::off}) {
    const auto regex = Regex::compile("^(a+)+$", 0, jit);
    REQUIRE(regex);
    RegexWorkspace workspace;
    workspace.set_match_limit(10000);
    CHECK(regex->exec(subject + "!", 0, {}, 0, workspace).failed());
    CHECK(regex->exec(subject, 0, {}, 0, workspace));
    workspace.set_match_limit(0);
    CHECK(regex->exec("aaaaaaaaa!", 0, {}, 0, workspace).none());
  }
}

TEST_CASE("regex: nesting is limited by the stack of a fiber", "[base][regex]") {
  const auto nested = [](int depth) {
    std::string pattern;
    for (int i = 0; i < depth; ++i) pattern += "(?:a";
    for (int i = 0; i < depth; ++i) pattern += ")*";
    return pattern;
  };
  CHECK(Regex::compile(nested(90)));
  const auto deep = Regex::compile(nested(110));
  REQUIRE_FALSE(deep);
  CHECK(deep.error().text.find("parentheses are too deeply nested") != std::string::npos);
  const auto recursive = Regex::compile("(?:a(?R)?c)*x");
  REQUIRE(recursive);
  CHECK(recursive->exec_dfa(std::string(2000, 'a') + "ccx", 0, {}).failed());
  CHECK(recursive->exec_dfa("acacx", 0, {}));
}
