#include "net/address.hpp"

#include <cstring>
#include <string>

#include <catch2/catch.hpp>

#include "net/address_url.hpp"

using namespace mp;
using namespace mp::net;

TEST_CASE("address: text forms of IPv4 and IPv6", "[net][address]") {
  struct Row {
    const char* in;
    const char* out;
  };
  const Row rows[] = {
      {"1.2.3.4", "1.2.3.4"},
      {"0.0.0.0", "0.0.0.0"},
      {"255.255.255.255", "255.255.255.255"},
      {"::", "::"},
      {"::1", "::1"},
      {"1::", "1::"},
      {"2001:DB8:0:0:8:800:200C:417A", "2001:db8::8:800:200c:417a"},
      {"1:0:0:2:0:0:0:3", "1:0:0:2::3"},
      {"1:0:2:0:3:0:4:0", "1:0:2:0:3:0:4:0"},
      {"1:0:0:2:3:0:0:4", "1::2:3:0:0:4"},
      {"1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"},
      {"0:0:1:2:3:4:5:6", "::1:2:3:4:5:6"},
      {"::ffff:1.2.3.4", "::ffff:1.2.3.4"},
      {"::1.2.3.4", "::1.2.3.4"},
      {"::ffff", "::0.0.255.255"},
      {"::2", "::2"},
      {"fe80::1:2", "fe80::1:2"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.in);
    const auto address = parse_ip(row.in);
    REQUIRE(address);
    CHECK(address->text() == row.out);
    CHECK(address->port() == 0);
    CHECK(parse_ip(row.out) == address);
  }
  for (std::string_view bad :
       {"", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.", ".1.2.3", "1..2.3", "1.2.3.4 ", "01234.1.1.1",
        "1.2.3.0004", "1.2.3.-4", ":::", "1:2", "12345::", "::g", "[::1]", "::1%lo", "1:2:3:4:5:6:7:8:9"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_ip(bad));
  }
  CHECK_FALSE(parse_ip(std::string_view()));
}

TEST_CASE("address: ports", "[net][address]") {
  Arena arena;
  struct Row {
    const char* in;
    const char* out;
  };
  const Row rows[] = {{"1.2.3.4:80", "1.2.3.4:80"},
                      {"1.2.3.4", "1.2.3.4:0"},
                      {"[::1]:65535", "[::1]:65535"},
                      {"[::1]", "[::1]:0"},
                      {"::1", "[::1]:0"}};
  for (const Row& row : rows) {
    CAPTURE(row.in);
    const auto address = parse_ip_port(row.in);
    REQUIRE(address);
    CHECK(address->text_with_port() == row.out);
    CHECK(address->text_with_port(arena) == row.out);
  }
  for (const char* bad :
       {"1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536", "[::1", "[::1]80", "[::1]:", "a:80", ":80", "[]:80"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_ip_port(bad));
  }
}

TEST_CASE("address: Unix sockets", "[net][address]") {
  const auto address = Address::unix_path("/tmp/x.sock");
  REQUIRE(address);
  CHECK(address->text() == "unix:/tmp/x.sock");
  CHECK(address->text_with_port() == "unix:/tmp/x.sock");
  CHECK(address->path() == "/tmp/x.sock");
  CHECK(address->size() == sizeof(sockaddr_un));
  CHECK(Address::from(address->raw(), address->size()) == *address);
  CHECK(Address::unix_path(std::string(107, 'x'))->text().size() == 112);
  CHECK_FALSE(Address::unix_path(std::string(108, 'x')));
  CHECK_FALSE(Address::unix_path(""));

  sockaddr_un unnamed{};
  unnamed.sun_family = AF_UNIX;
  const Address peer = Address::from(reinterpret_cast<sockaddr*>(&unnamed), sizeof(sa_family_t));
  CHECK(peer.text() == "unix:");
  CHECK(peer.binary() == "unix:");
  CHECK(peer.size() == sizeof(sa_family_t));

  sockaddr_un full{};
  full.sun_family = AF_UNIX;
  std::memset(full.sun_path, 'x', sizeof full.sun_path);
  CHECK(Address::from(reinterpret_cast<sockaddr*>(&full), sizeof full).path() == std::string(107, 'x'));
}

TEST_CASE("address: comparison", "[net][address]") {
  const Address a = *parse_ip_port("1.2.3.4:80");
  const Address b = *parse_ip_port("1.2.3.4:81");
  CHECK(a == *parse_ip_port("1.2.3.4:80"));
  CHECK_FALSE(a == b);
  CHECK(a.same_host(b));
  CHECK(a.hash() == parse_ip_port("1.2.3.4:80")->hash());
  CHECK(a.hash() != b.hash());
  CHECK(a.host_hash() == b.host_hash());
  const Address mapped = *parse_ip_port("[::ffff:1.2.3.4]:80");
  CHECK_FALSE(mapped == a);
  CHECK(mapped.unmapped() == a);
  CHECK(a.unmapped() == a);
  CHECK(parse_ip("::1")->unmapped().is_v6());
  CHECK(a.binary() == "\x01\x02\x03\x04");
  CHECK(mapped.binary().size() == 16);
  CHECK_FALSE(Address().specified());
  CHECK(Address() == Address());
  CHECK(Address().text().empty());
  CHECK(parse_ip("::")->is_wildcard());
  CHECK_FALSE(a.is_wildcard());
}

TEST_CASE("address url: what configurations write", "[net][address]") {
  struct Row {
    std::string_view text;
    AddressUrlRules rules;
    std::string_view host, uri, address;  // address: text with port, or empty for a name
    int port = 0;
    int last_port = 0;
  };
  constexpr AddressUrlRules kListen{.default_port = 80, .listen = true};
  constexpr AddressUrlRules kPass{.default_port = 80, .uri_part = true};
  constexpr AddressUrlRules kPlain{.default_port = 80};
  const Row rows[] = {
      {"8080", kListen, "", "", "0.0.0.0:8080", 8080},
      {"8080-8090", kListen, "", "", "0.0.0.0:8080", 8080, 8090},
      {"*:81", kListen, "*", "", "0.0.0.0:81", 81},
      {"*", kListen, "*", "", "0.0.0.0:80", 80},
      {"127.0.0.1:81-82", kListen, "127.0.0.1", "", "127.0.0.1:81", 81, 82},
      {"127.0.0.1", kListen, "127.0.0.1", "", "127.0.0.1:80", 80},
      {"[::]:81", kListen, "[::]", "", "[::]:81", 81},
      {"[::1]", kListen, "[::1]", "", "[::1]:80", 80},
      {"localhost", kListen, "localhost", "", "", 80},
      {"my-host", kListen, "my-host", "", "", 80},
      {"unix:/a/b:c", kListen, "/a/b:c", "", "unix:/a/b:c"},
      {"UNIX:/a", kPlain, "/a", "", "unix:/a"},
      {"8080", kPass, "8080", "", "", 80},
      {"a.b:81/x?y:z", kPass, "a.b", "/x?y:z", "", 81},
      {"a.b?y/z:9", kPass, "a.b", "?y/z:9", "", 80},
      {"a.b/x:9", kPass, "a.b", "/x:9", "", 80},
      {"[::1]:81/x", kPass, "[::1]", "/x", "[::1]:81", 81},
      {"unix:/a/b:/uri", kPass, "/a/b", "/uri", "unix:/a/b"},
      {"a-b:81", kPlain, "a-b", "", "", 81},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const auto url = parse_address_url(row.text, row.rules);
    REQUIRE(url);
    CHECK(url->host == row.host);
    CHECK(url->uri == row.uri);
    CHECK(url->port == row.port);
    CHECK(url->last_port == row.last_port);
    CHECK(url->address.text_with_port() == row.address);
    CHECK(url->needs_resolving() == row.address.empty());
  }
  CHECK(parse_address_url("8080", kListen)->wildcard);
  CHECK(parse_address_url("[::]", kListen)->wildcard);
  CHECK_FALSE(parse_address_url("[::1]", kListen)->wildcard);
  CHECK(parse_address_url("a:81", kPlain)->has_port());
  CHECK_FALSE(parse_address_url("a", kPlain)->has_port());

  struct Bad {
    std::string_view text;
    AddressUrlRules rules;
    const char* error;
  };
  const std::string long_path = "unix:" + std::string(108, 'x');
  const Bad bad[] = {
      {"", kPlain, "no host"},
      {":80", kPlain, "no host"},
      {"/x", kPass, "no host"},
      {"a/x", kPlain, "invalid host"},
      {"a/x", kListen, "invalid host"},
      {"a:", kPlain, "invalid port"},
      {"a:0", kPlain, "invalid port"},
      {"a:65536", kPlain, "invalid port"},
      {"a:b", kPlain, "invalid port"},
      {"a:80-81", kPlain, "invalid port"},
      {"0", kListen, "invalid port"},
      {"65536", kListen, "invalid port"},
      {"90-80", kListen, "invalid port range"},
      {"80-0", kListen, "invalid port"},
      {"*:90-80", kListen, "invalid port range"},
      {"[::1", kListen, "invalid host"},
      {"[::1]x", kListen, "invalid host"},
      {"[::1]/x", kListen, "invalid host"},
      {"[]:80", kListen, "no host"},
      {"[::g]:80", kListen, "invalid IPv6 address"},
      {"unix:", kListen, "no path in the unix domain socket"},
      {long_path, kListen, "too long path in the unix domain socket"},
  };
  for (const Bad& row : bad) {
    CAPTURE(row.text);
    const auto url = parse_address_url(row.text, row.rules);
    REQUIRE_FALSE(url);
    CHECK(url.error().text == row.error);
  }
}

TEST_CASE("address url: names are resolved by the system", "[net][address]") {
  const auto addresses = resolve_host("localhost", 81);
  REQUIRE(addresses);
  CHECK(addresses->front().port() == 81);
  const auto literal = resolve(*parse_address_url("127.0.0.9:82", {}));
  REQUIRE(literal);
  CHECK(literal->front().text_with_port() == "127.0.0.9:82");
  const auto missing = resolve_host("no..such..host", 81);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().text == "host not found");
}
