#include "base/utf8.hpp"

#include <string>

#include <catch2/catch.hpp>

using namespace mp;

TEST_CASE("utf8: every character survives encoding", "[base][utf8]") {
  for (char32_t code = 0; code <= 0x10ffff; ++code) {
    char buffer[kMaxUtf8];
    const std::string_view text(buffer, static_cast<std::size_t>(encode_utf8(buffer, code) - buffer));
    const Utf8Char back = decode_utf8(text);
    const bool surrogate = code >= 0xd800 && code < 0xe000;
    if (back.valid() == surrogate) FAIL(static_cast<unsigned>(code));
    if (!surrogate && (back.code != code || back.size != text.size())) FAIL(static_cast<unsigned>(code));
  }
}

TEST_CASE("utf8: invalid sequences", "[base][utf8]") {
  for (std::string_view bad :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xc3x"}) {
    CAPTURE(bad.size());
    CHECK_FALSE(decode_utf8(bad).valid());
    CHECK_FALSE(is_utf8("a" + std::string(bad)));
    CHECK(utf8_length("a" + std::string(bad)) == 1 + bad.size());
  }
}

TEST_CASE("utf8: lengths and prefixes", "[base][utf8]") {
  const std::string_view text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
  CHECK(is_utf8(text));
  CHECK(utf8_length(text) == 5);
  CHECK(utf8_length("") == 0);
  CHECK(utf8_prefix(text, 0).empty());
  CHECK(utf8_prefix(text, 2) == "a\xc3\xa9");
  CHECK(utf8_prefix(text, 4) == "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  CHECK(utf8_prefix(text, 9) == text);
  CHECK(utf8_prefix("a\xff"
                    "bc",
                    3) ==
        "a\xff"
        "b");
}
