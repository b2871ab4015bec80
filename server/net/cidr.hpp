// Cidr: a block of IPv4 or IPv6 addresses ("10.0.0.0/8"), or all Unix sockets ("unix:"). A plain value.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "net/address.hpp"

namespace mp::net {

struct Cidr {
  int family = AF_UNSPEC;
  std::uint8_t address[16] = {};  // in network order, low bits zero
  std::uint8_t mask[16] = {};
  std::uint8_t prefix = 0;

  // IPv4-mapped IPv6 clients are looked up as IPv4.
  bool contains(const Address& client) const;
};

struct ParsedCidr {
  Cidr block;
  bool low_bits_meaningless = false;  // bits behind the prefix were set; they were cleared
};

// "1.2.3.4", "1.2.3.0/24", "::1", "2001:db8::/32". Without a prefix the block is one address.
std::optional<ParsedCidr> parse_cidr(std::string_view text);

}  // namespace mp::net
