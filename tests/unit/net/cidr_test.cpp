#include "net/cidr.hpp"

#include <catch2/catch.hpp>

using namespace mp::net;

TEST_CASE("cidr: blocks contain their addresses", "[net][cidr]") {
  struct Row {
    const char* block;
    const char* address;
    bool inside;
  };
  const Row rows[] = {
      {"10.0.0.0/8", "10.255.1.2", true},
      {"10.0.0.0/8", "11.0.0.0", false},
      {"10.1.2.3", "10.1.2.3", true},
      {"10.1.2.3", "10.1.2.4", false},
      {"0.0.0.0/0", "255.1.2.3", true},
      {"0.0.0.0/0", "::1", false},
      {"192.168.1.128/25", "192.168.1.200", true},
      {"192.168.1.128/25", "192.168.1.100", false},
      {"10.0.0.0/8", "::ffff:10.1.1.1", true},
      {"::/0", "::1", true},
      {"2001:db8::/33", "2001:db8:7fff::", true},
      {"2001:db8::/33", "2001:db8:8000::", false},
      {"::1", "::1", true},
      {"::/0", "1.2.3.4", false},
      {"::ffff:0:0/96", "::ffff:1.2.3.4", true},
  };
  for (const Row& row : rows) {
    CAPTURE(row.block, row.address);
    CHECK(parse_cidr(row.block)->block.contains(*parse_ip(row.address)) == row.inside);
  }
  Cidr all_unix;
  all_unix.family = AF_UNIX;
  CHECK(all_unix.contains(*Address::unix_path("/x")));
  CHECK_FALSE(parse_cidr("0.0.0.0/0")->block.contains(*Address::unix_path("/x")));
}

TEST_CASE("cidr: low bits", "[net][cidr]") {
  CHECK(parse_cidr("10.1.0.0/8")->low_bits_meaningless);
  CHECK_FALSE(parse_cidr("10.0.0.0/8")->low_bits_meaningless);
  CHECK(parse_cidr("10.1.0.0/8")->block.contains(*parse_ip("10.2.0.0")));
  CHECK(parse_cidr("2001:db8::1/64")->low_bits_meaningless);
  CHECK_FALSE(parse_cidr("::/0")->low_bits_meaningless);
  CHECK(parse_cidr("10.0.0.0/8")->block.prefix == 8);
}

TEST_CASE("cidr: malformed blocks", "[net][cidr]") {
  for (const char* bad : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0/8",
                          "::/129", "::1/ 8", "host"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_cidr(bad));
  }
}
