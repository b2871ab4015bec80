#include "base/strings.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace mp;

TEST_CASE("strings: trim takes blanks from both ends", "[base][strings]") {
  CHECK(trim(" \t a b \t") == "a b");
  CHECK(trim("\t \t").empty());
  CHECK(trim("").empty());
  CHECK(trim_left(" a ") == "a ");
  CHECK(trim_right(" a ") == " a");
}

TEST_CASE("strings: split keeps empty pieces", "[base][strings]") {
  const auto pieces = [](std::string_view text) {
    std::vector<std::string> out;
    for (std::string_view piece : split(text, ',')) out.emplace_back(piece);
    return out;
  };
  CHECK(pieces("a,b,c") == std::vector<std::string>{"a", "b", "c"});
  CHECK(pieces("a,,b,") == std::vector<std::string>{"a", "", "b", ""});
  CHECK(pieces("") == std::vector<std::string>{""});
  CHECK(pieces(",") == std::vector<std::string>{"", ""});
}

TEST_CASE("strings: split_once and consume", "[base][strings]") {
  CHECK(split_once("a=b=c", '=')->first == "a");
  CHECK(split_once("a=b=c", '=')->second == "b=c");
  CHECK_FALSE(split_once("abc", '='));
  std::string_view text = "unix:/tmp/x";
  CHECK(consume(text, "unix:"));
  CHECK(text == "/tmp/x");
  CHECK_FALSE(consume(text, "unix:"));
}

TEST_CASE("strings: lists", "[base][strings]") {
  CHECK(list_contains("gzip;q=0.5, BR", "br"));
  CHECK(list_contains("keep-alive , close", "Close"));
  CHECK_FALSE(list_contains("closed, x-close", "close"));
}

TEST_CASE("strings: lower copies only when needed", "[base][strings]") {
  Arena arena;
  const std::string_view plain = "host.example";
  CHECK(lower(arena, plain).data() == plain.data());
  CHECK(lower(arena, "Host.Example:80") == "host.example:80");
  CHECK(std::string(c_string(arena, plain)) == plain);
  CHECK(std::string(c_string(arena, "")).empty());
}
