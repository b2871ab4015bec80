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

TEST_CASE("tls: an alert during a handshake, and what cannot be one", "[tls]") {
  using namespace std::literals;
  const std::string change = "\x14\x03\x03\x00\x01\x01"s;
  const std::string sealed_alert = "\x17\x03\x03\x00\x13"s;
  const std::string sealed_finished = "\x17\x03\x03\x00\x35"s;
  CHECK(may_be_alert("\x15\x03\x03\x00\x02\x02\x28"sv));
  CHECK(may_be_alert(sealed_alert));
  CHECK(may_be_alert(change + sealed_alert));
  CHECK(may_be_alert(change));  // what follows has not come
  CHECK(may_be_alert("\x16\x03"sv));
  CHECK_FALSE(may_be_alert(sealed_finished));
  CHECK_FALSE(may_be_alert(change + sealed_finished));
  CHECK_FALSE(may_be_alert(change + "\x16\x03\x03\x00\x28"s));
  CHECK_FALSE(may_be_alert("\x16\x03\x01\x02\x00"sv));
  CHECK(may_be_alert("\x14\x03\x03\xff\xff\x01"sv));
}

TEST_CASE("tls: how a client that speaks TLS begins", "[tls]") {
  CHECK(may_be_tls('\x16'));
  CHECK(may_be_tls('\x80'));
  CHECK_FALSE(may_be_tls('G'));
  CHECK_FALSE(may_be_tls('\0'));
}
