// The address behind the host that a script wants to talk to.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.hpp"
#include "net/address.hpp"

namespace mp::http {
class Request;
}

namespace mp::lua {

// `host` is an IP address, "unix:PATH", or a name, which the resolver of the location is asked for. Parks.
// The errors are those scripts know: `no resolver defined to resolve "x"`.
Result<net::Address> find_address(const http::Request& request, std::string_view host, std::uint16_t port);

// ", upstream: HOST:PORT(ADDRESS)", for log lines.
std::string about_peer(std::string_view host, const net::Address& address);

}  // namespace mp::lua
