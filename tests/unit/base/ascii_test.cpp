#include "base/ascii.hpp"

#include <cctype>
#include <string>

#include <catch2/catch.hpp>

using namespace mp;

TEST_CASE("ascii: character classes agree with the C locale", "[base][ascii]") {
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    const bool ascii = i < 128;
    CAPTURE(i);
    CHECK(is_digit(c) == (ascii && std::isdigit(i) != 0));
    CHECK(is_alpha(c) == (ascii && std::isalpha(i) != 0));
    CHECK(is_alnum(c) == (ascii && std::isalnum(i) != 0));
    CHECK(is_upper(c) == (ascii && std::isupper(i) != 0));
    CHECK(is_space(c) == (ascii && std::isspace(i) != 0));
    CHECK(is_hex_digit(c) == (ascii && std::isxdigit(i) != 0));
    CHECK(to_lower(c) == (ascii ? static_cast<char>(std::tolower(i)) : c));
    CHECK(to_upper(c) == (ascii ? static_cast<char>(std::toupper(i)) : c));
  }
}

TEST_CASE("ascii: eight bytes are lowered like one", "[base][ascii]") {
  for (int i = 0; i < 256; ++i) {
    std::string text(19, static_cast<char>(i));
    std::string lowered(19, '\0');
    CHECK(lower_into(lowered.data(), text) == lowered.data() + lowered.size());
    CHECK(lowered == std::string(19, to_lower(static_cast<char>(i))));
    for (int j = 0; j < 256; ++j) {
      const std::string other(19, static_cast<char>(j));
      const bool same = to_lower(static_cast<char>(i)) == to_lower(static_cast<char>(j));
      if (equals_nocase(text, other) != same) FAIL(i << " and " << j);
    }
  }
}

TEST_CASE("ascii: texts of any length are lowered whole, in place too", "[base][ascii]") {
  const std::string upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const std::string lower = "abcdefghijklmnopqrstuvwxyz";
  for (std::size_t size = 0; size <= upper.size(); ++size) {
    std::string text = upper;
    CHECK(lower_into(text.data(), std::string_view(text).substr(0, size)) == text.data() + size);
    CHECK(text == lower.substr(0, size) + upper.substr(size));
  }
}

TEST_CASE("ascii: comparison and hash ignore case only", "[base][ascii]") {
  const std::string_view name = "X-Forwarded-For-Whoever";
  for (std::size_t size = 0; size <= name.size(); ++size) {
    std::string other(name.substr(0, size));
    upper_into(other.data(), other);
    CHECK(equals_nocase(name.substr(0, size), other));
    CHECK(compare_nocase(name.substr(0, size), other) == 0);
    CHECK(hash_nocase(name.substr(0, size)) == hash_nocase(other));
    CHECK(equals_nocase(name, other) == (size == name.size()));
    CHECK(starts_with_nocase(name, other));
    CHECK(ends_with_nocase("ab" + other, name.substr(0, size)));
  }
  CHECK_FALSE(equals_nocase("a-b", "a_b"));
  CHECK_FALSE(equals_nocase("[", "{"));
  CHECK_FALSE(equals_nocase("@", "`"));
  CHECK(hash_nocase("host") != hash_nocase("hosT1"));
  CHECK(hash_text("host") != hash_text("Host"));
  CHECK(hash_nocase("host", 1) != hash_nocase("host", 2));
  CHECK(compare_nocase("ab", "AC") < 0);
  CHECK(compare_nocase("abc", "AB") > 0);
  static_assert(hash_nocase("Content-Length") == hash_nocase("content-length"));
  CHECK(hash_nocase(std::string("CONTENT-LENGTH")) ==
        std::integral_constant<std::uint64_t, hash_nocase("content-length")>());
}

TEST_CASE("ascii: find ignores case", "[base][ascii]") {
  CHECK(find_nocase("Keep-Alive, Upgrade", "upgrade") == 12);
  CHECK(find_nocase("aXbX", "x", 2) == 3);
  CHECK(find_nocase("abc", "abcd") == std::string_view::npos);
  CHECK(find_nocase("abc", "") == 0);
  CHECK(find_nocase("abc", "d") == std::string_view::npos);
  CHECK(find_nocase("abc", "a", 4) == std::string_view::npos);
}

TEST_CASE("ascii: token characters", "[base][ascii]") {
  CHECK(is_token("X-Foo_1~!#"));
  for (std::string_view bad : {"", "a b", "a:b", "a\x7f", "a\"", "(", "a/b", "\xc3"})
    CHECK_FALSE(is_token(bad));
}

TEST_CASE("ascii: the bytes of a word, however many there are", "[base][ascii]") {
  const std::string text("\x01\x82\x03\x84\x05\x86\x07\x88", 8);
  for (std::size_t size = 0; size <= text.size(); ++size) {
    const std::string just(text.data(), size);
    std::uint64_t expected = 0;
    for (std::size_t i = size; i > 0; --i) expected = expected << 8 | static_cast<unsigned char>(text[i - 1]);
    CAPTURE(size);
    CHECK(ascii_detail::load(just.data(), size) == expected);
  }
}
