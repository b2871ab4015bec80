#include "base/base32.hpp"

#include <string>
#include <utility>

#include <catch2/catch.hpp>

using namespace mp;

namespace {

constexpr std::string_view kRfc = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

std::string encoded(std::string_view bytes, bool padded = true) {
  std::string out(base32_room(bytes.size()), '\0');
  out.resize(static_cast<std::size_t>(base32_into(out.data(), bytes, kRfc, padded) - out.data()));
  return out;
}

std::string decoded(std::string_view text) {
  std::string out(base32_decoded_room(text.size()), '\0');
  const auto end = decode_base32_into(out.data(), text, kRfc);
  if (!end) return "(error)";
  out.resize(static_cast<std::size_t>(*end - out.data()));
  return out;
}

}  // namespace

TEST_CASE("base32: RFC 4648 examples", "[base][base32]") {
  const std::pair<std::string, std::string> rows[] = {
      {"", ""},
      {"f", "MY======"},
      {"fo", "MZXQ===="},
      {"foo", "MZXW6==="},
      {"foob", "MZXW6YQ="},
      {"fooba", "MZXW6YTB"},
      {"foobar", "MZXW6YTBOI======"},
  };
  for (const auto& [plain, text] : rows) {
    CHECK(encoded(plain) == text);
    CHECK(decoded(text) == plain);
    CHECK(encoded(plain, false) == text.substr(0, text.find('=')));
    CHECK(decoded(encoded(plain, false)) == plain);
  }
}

TEST_CASE("base32: every byte comes back", "[base][base32]") {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  CHECK(decoded(encoded(bytes)) == bytes);
  CHECK(decoded("ab") == "(error)");
  CHECK(decoded("A!") == "(error)");
}
