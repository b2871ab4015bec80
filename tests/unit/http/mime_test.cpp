#include "http/mime.hpp"

#include <string>

#include <catch2/catch.hpp>

using namespace mp::http;

TEST_CASE("mime: types by extension", "[http][mime]") {
  MimeTypes types;
  CHECK(types.find("html").empty());
  types.set_defaults();
  CHECK(types.find("html") == "text/html");
  CHECK(types.find("HTML") == "text/html");
  CHECK(types.find("htm").empty());
  CHECK(types.find("").empty());
  CHECK(types.set("Html", "text/plain") == "text/html");
  CHECK(types.find("html") == "text/plain");
  CHECK(types.size() == 3);
}

TEST_CASE("mime: a table that grew finds everything", "[http][mime]") {
  MimeTypes types;
  for (int i = 0; i < 1000; ++i) CHECK(types.set("x" + std::to_string(i), "a/" + std::to_string(i)).empty());
  for (int i = 0; i < 1000; ++i) CHECK(types.find("X" + std::to_string(i)) == "a/" + std::to_string(i));
  CHECK(types.find("x1000").empty());
  CHECK(types.size() == 1000);
}

TEST_CASE("mime: sets of types", "[http][mime]") {
  MimeSet set;
  CHECK(set.empty());
  CHECK_FALSE(set.contains("text/html"));
  CHECK(set.add("text/html"));
  CHECK_FALSE(set.add("TEXT/html"));
  CHECK(set.contains("text/html"));
  CHECK(set.contains("Text/HTML; charset=utf-8"));
  CHECK(set.contains("text/html ;x"));
  CHECK_FALSE(set.contains("text/htm"));
  CHECK_FALSE(set.contains(""));
  CHECK(set.add("*"));
  CHECK(set.contains("a/b"));
  CHECK_FALSE(set.empty());
}

TEST_CASE("mime: names of every length are told apart, in any case", "[http][mime]") {
  MimeTypes types;
  std::string name;
  for (const char c : std::string("abcdefghijkl")) {
    name += c;
    types.set(name, "t/" + name);
  }
  for (std::size_t size = 1; size <= name.size(); ++size) {
    std::string asked = name.substr(0, size);
    CHECK(types.find(asked) == "t/" + asked);
    for (std::size_t at = 0; at < size; ++at) {
      std::string other = asked;
      other[at] = static_cast<char>(other[at] - 0x20);
      CHECK(types.find(other) == "t/" + asked);
      other[at] = '_';
      CHECK(types.find(other).empty());
    }
  }
}
