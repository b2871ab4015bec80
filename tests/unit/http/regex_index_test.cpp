#include "http/regex_index.hpp"

#include <catch2/catch.hpp>

#include "base/regex.hpp"

using mp::http::RegexIndex;
using mp::http::required_texts;
using mp::http::RequiredTexts;

namespace {

std::vector<std::uint32_t> candidates(const RegexIndex& index, std::string_view subject) {
  RegexIndex::Candidates out;
  REQUIRE(index.find(subject, out));
  return {out.begin(), out.end()};
}

RegexIndex index_of(const std::vector<std::string_view>& patterns) {
  RegexIndex index;
  index.build(patterns);
  return index;
}

}  // namespace

TEST_CASE("what a pattern cannot match without", "[regex_index]") {
  CHECK(required_texts("^/app/(.*)\\.php$") == RequiredTexts{{"/app/"}, {".php"}});
  CHECK(required_texts("\\.(gif|jpe?g|PNG)$") == RequiredTexts{{"."}, {"gif", "jp", "png"}});
  CHECK(required_texts("^/a+b") == RequiredTexts{{"/a"}, {"b"}});
  CHECK(required_texts("^/ab?c*d{0,3}e") == RequiredTexts{{"/a"}, {"e"}});
  CHECK(required_texts("/(?:one|two)/[a-z]+/(?<id>\\d+)/end") ==
        RequiredTexts{{"/"}, {"one", "two"}, {"/"}, {"/"}, {"/end"}});
  CHECK(required_texts("^/(?!private)/x") == RequiredTexts{{"/"}, {"/x"}});
  CHECK(required_texts("(foo)?bar") == RequiredTexts{{"bar"}});
  CHECK(required_texts("foo|bar") == RequiredTexts{{"foo", "bar"}});
  CHECK(required_texts("[]x]y[^]z]") == RequiredTexts{{"y"}});
  CHECK(required_texts("[[:alpha:]]]q") == RequiredTexts{{"]q"}});
}

TEST_CASE("patterns of which nothing is known for certain", "[regex_index]") {
  for (const char* pattern : {"", ".*", "foo|.*", "(?i)foo", "(*UTF8)foo", "\\x41foo", "\\Qa.b\\E", "(a)\\1",
                              "foo|", "(?x) a b", "a(?#comment)b", "(?|a|b)", "\\p{L}x", "x{2"}) {
    INFO(pattern);
    CHECK(required_texts(pattern).empty());
  }
}

TEST_CASE("candidates come in order, and only those that may match", "[regex_index]") {
  const RegexIndex index =
      index_of({"\\.php$", "^/app1/", ".*", "^/app12/", "\\.(gif|jpg)$", "/a", "^/APP1/x", "b|c"});
  CHECK(candidates(index, "/app1/x.php") == std::vector<std::uint32_t>{0, 1, 2, 5, 6, 7});
  CHECK(candidates(index, "/app12/x.JPG") == std::vector<std::uint32_t>{2, 3, 4, 5, 7});
  CHECK(candidates(index, "/") == std::vector<std::uint32_t>{2, 7});
  CHECK(candidates(index, "") == std::vector<std::uint32_t>{2, 7});
}

TEST_CASE("every pattern that matches is a candidate", "[regex_index]") {
  std::vector<std::string> texts;
  for (int i = 0; i < 300; ++i) texts.push_back("^/app" + std::to_string(i) + "/(.*)\\.(php|html?)$");
  for (const char* extra :
       {"/a.c", "x+y", "(one|two)/three", "^/$", "[0-9]{3}", "(?:a|b(c|d)e)f", "\\/esc\\.aped", "AbC"}) {
    texts.emplace_back(extra);
  }
  const std::vector<std::string_view> patterns(texts.begin(), texts.end());
  const RegexIndex index = index_of(patterns);
  for (const char* subject : {"/app7/x.php", "/app299/a/b.htm", "/app30/.html", "/abc", "/xxy", "two/three",
                              "/", "/123/", "bdef", "af", "/esc.aped", "xaBcx", "/app30/x.phpx"}) {
    const auto found = candidates(index, subject);
    CHECK(found.size() < 20);
    for (std::uint32_t i = 0; i < patterns.size(); ++i) {
      const auto regex = mp::Regex::compile(patterns[i], mp::Regex::kCaseless);
      REQUIRE(regex);
      if (!regex->matches(subject)) continue;
      INFO(subject << " " << patterns[i]);
      CHECK(std::find(found.begin(), found.end(), i) != found.end());
    }
  }
}
