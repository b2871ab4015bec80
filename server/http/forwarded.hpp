// The client's address as trusted proxies report it, in lists such as X-Forwarded-For. Pure functions.
#pragma once

#include <span>
#include <string_view>

#include "net/address.hpp"
#include "net/cidr.hpp"

namespace mp::http {

class Headers;

bool is_in(const net::Address& address, std::span<const net::Cidr> networks);

enum class Forwarded : std::uint8_t {
  unchanged,  // the peer is not trusted, or the last entry is no address
  partly,     // it was changed, then an entry came that is not trusted or no address
  complete,   // the whole list was used, or with `recursive` off its last entry
};

// Replaces `address` by the last one in `list` when `address` is a trusted proxy; when `recursive`, goes on
// from there to the left as long as the addresses are trusted.
Forwarded follow_forwarded(net::Address& address, std::string_view list, std::span<const net::Cidr> trusted,
                           bool recursive);

// The same over all fields of this name, the last one first.
Forwarded follow_forwarded_fields(net::Address& address, const Headers& headers, std::string_view name,
                                  std::span<const net::Cidr> trusted, bool recursive);

}  // namespace mp::http
