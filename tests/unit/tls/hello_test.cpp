#include "tls/hello.hpp"

#include <string>

#include <catch2/catch.hpp>

using namespace mp::tls;

namespace {

std::optional<std::string> name_in(std::string_view bytes, int* alert = nullptr) {
  int ignored = 0;
  const auto name = parse_server_name({reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()},
                                      alert != nullptr ? *alert : ignored);
  return name ? std::optional(std::string(*name)) : std::nullopt;
}

}  // namespace

TEST_CASE("tls: the server name of a hello is one host name of the right length", "[tls]") {
  using namespace std::literals;
  CHECK(name_in("\x00\x08\x00\x00\x05\x61\x2e\x62\x2e\x63"sv) == "a.b.c");
  CHECK(name_in("\x00\x03\x00\x00\x00"sv) == "");
  int alert = 0;
  CHECK_FALSE(name_in("\x00\x08\x01\x00\x05\x61\x2e\x62\x2e\x63"sv, &alert));  // another type
  CHECK(alert == SSL_AD_DECODE_ERROR);
  CHECK_FALSE(name_in("\x00\x09\x00\x00\x05\x61\x2e\x62\x2e\x63"sv));  // a longer list than there is
  CHECK_FALSE(name_in("\x00\x08\x00\x00\x04\x61\x2e\x62\x2e\x63"sv));  // something behind the name
  CHECK_FALSE(name_in("\x00\x01"sv));
  CHECK_FALSE(name_in(""sv));
  CHECK_FALSE(name_in("\x00\x05\x00\x00\x02\x61\x00"sv, &alert));  // a NUL
  CHECK(alert == SSL_AD_UNRECOGNIZED_NAME);
  std::string longest("\x01\x03\x00\x01\x00", 5);
  longest.append(256, 'a');
  CHECK_FALSE(name_in(longest));
}

TEST_CASE("tls: the versions of a hello", "[tls]") {
  using namespace std::literals;
  auto versions = [](std::string_view bytes) {
    return parse_versions({reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()});
  };
  CHECK(versions("\x04\x03\x04\x03\x03"sv) == std::vector<int>{0x0304, 0x0303});
  CHECK(versions("\x05\x03\x04\x03\x03\x03"sv).empty());
  CHECK(versions("\x04\x03\x04"sv).empty());
  CHECK(versions(""sv).empty());
}
