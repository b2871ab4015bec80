#include "base/base64.hpp"

#include <string>

#include <catch2/catch.hpp>

using namespace mp;

namespace {

using Decoder = std::optional<char*> (*)(char*, std::string_view);

std::string decoded(std::string_view text, Decoder decoder = decode_base64_into) {
  std::string out(base64_decoded_room(text.size()), '\0');
  const auto end = decoder(out.data(), text);
  if (!end) return "(error)";
  out.resize(static_cast<std::size_t>(*end - out.data()));
  return out;
}

}  // namespace

TEST_CASE("base64: RFC 4648 examples", "[base][base64]") {
  Arena arena;
  const std::pair<std::string, std::string> rows[] = {{"", ""},
                                                      {"f", "Zg=="},
                                                      {"fo", "Zm8="},
                                                      {"foo", "Zm9v"},
                                                      {"foob", "Zm9vYg=="},
                                                      {"fooba", "Zm9vYmE="},
                                                      {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : rows) {
    CHECK(base64(arena, bytes) == text);
    CHECK(decoded(text) == bytes);
    CHECK(decoded(text.substr(0, text.find('='))) == bytes);
    std::string bare(base64_size(bytes.size(), Padding::off), '\0');
    CHECK(base64_into(bare.data(), bytes, Padding::off) == bare.data() + bare.size());
    CHECK(bare == text.substr(0, text.find('=')));
  }
}

TEST_CASE("base64: all bytes survive both alphabets", "[base][base64]") {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const std::string part = bytes.substr(bytes.size() - size);
    std::string plain(base64_size(size), '\0');
    base64_into(plain.data(), part);
    REQUIRE(decoded(plain) == part);
    std::string url(base64_size(size, Padding::off), '\0');
    REQUIRE(base64url_into(url.data(), part) == url.data() + url.size());
    REQUIRE(decoded(url, decode_base64url_into) == part);
  }
}

TEST_CASE("base64: what is refused", "[base][base64]") {
  for (std::string_view bad : {"a", "abcde", "ab c", "ab\n", "abc-", "abc_",
                               "ab\xff"
                               "d",
                               "!bcd"}) {
    CAPTURE(bad);
    CHECK(decoded(bad) == "(error)");
  }
  CHECK(decoded("abc+", decode_base64url_into) == "(error)");
  CHECK(decoded("Zm9v=junk") == "foo");
  CHECK(decoded("=") == "");
}

TEST_CASE("base64: MIME skips foreign characters", "[base][base64]") {
  CHECK(decoded("Zm9v\r\nYm Fy", decode_base64_mime_into) == "foobar");
  CHECK(decoded("Z\nm\n8=", decode_base64_mime_into) == "fo");
  CHECK(decoded("Zm9vY", decode_base64_mime_into) == "(error)");
  CHECK(decoded("  ", decode_base64_mime_into) == "");
}
