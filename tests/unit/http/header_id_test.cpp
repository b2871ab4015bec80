#include "http/header_id.hpp"

#include <string>

#include <catch2/catch.hpp>

#include "http/field_list.hpp"

using namespace mp::http;

TEST_CASE("every known name is found in any case") {
  for (std::size_t i = 1; i < kHeaderIdCount; ++i) {
    const auto id = static_cast<HeaderId>(i);
    std::string canonical(header_name(id)), upper, lower(header_name_lower(id));
    INFO(canonical);
    REQUIRE(canonical.size() < 32);
    for (char c : canonical) upper.push_back(static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
    CHECK(header_id(canonical) == id);
    CHECK(header_id(upper) == id);
    CHECK(header_id(lower) == id);
  }
}

TEST_CASE("one wrong byte anywhere makes a name unknown") {
  for (std::size_t i = 1; i < kHeaderIdCount; ++i) {
    const std::string name(header_name(static_cast<HeaderId>(i)));
    for (std::size_t k = 0; k < name.size(); ++k) {
      for (char flip : {0x01, 0x20, 0x40, -0x80}) {
        std::string other = name;
        other[k] = static_cast<char>(other[k] ^ flip);
        const bool same_letter = flip == 0x20 && std::isalpha(static_cast<unsigned char>(name[k])) != 0;
        INFO(other);
        const HeaderId got = header_id(other);
        if (same_letter) {
          CHECK(got == static_cast<HeaderId>(i));
        } else {
          CHECK(got == HeaderId::unknown);
        }
      }
    }
  }
}

TEST_CASE("names that are not known") {
  for (const char* name : {"", "a", "te ", "x-foo", "hosts", "hos", "content_length", "content-length-",
                           "a-very-long-header-name-that-nobody-knows-about"}) {
    CHECK(header_id(name) == HeaderId::unknown);
  }
  CHECK(header_name(HeaderId::unknown).empty());
  CHECK(header_name_lower(HeaderId::count_).empty());
}

TEST_CASE("field list: the first field of a known name, and of others none", "[http]") {
  mp::Arena arena;
  FieldList fields(arena);
  for (int i = 0; i < 40; ++i) fields.add("X-Other", "o");
  CHECK(fields.find(HeaderId::host) == nullptr);
  CHECK_FALSE(fields.has(HeaderId::host));
  fields.add("host", "first");
  fields.add("Host", "second");
  CHECK(fields.has(HeaderId::host));
  REQUIRE(fields.find(HeaderId::host) == &fields.all()[40]);
  CHECK(fields.value(HeaderId::host) == "first");
  CHECK(fields.find(HeaderId::unknown) == nullptr);
  CHECK(fields.find(HeaderId::cookie) == nullptr);
  // Whoever has taken the fields over may have changed them.
  for (mp::http::HeaderField& field : fields.all()) field.id = HeaderId::unknown;
  CHECK(fields.find(HeaderId::host) == nullptr);
  fields.clear();
  CHECK(fields.size() == 0);
  CHECK_FALSE(fields.has(HeaderId::host));
}
