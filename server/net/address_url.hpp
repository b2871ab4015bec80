// Addresses as configurations write them: "127.0.0.1:80", "*:8080", "8080", "[::1]:443", "host:port",
// "unix:/path:/uri". Parsing looks at text only; resolving a name blocks and is for configuration time.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "net/address.hpp"

namespace mp::net {

struct AddressUrlRules {
  std::uint16_t default_port = 0;
  bool listen = false;    // "80", "*:80" and port ranges ("80-90") are understood
  bool uri_part = false;  // a URI may follow the address
};

// Views into the text that was parsed.
struct AddressUrl {
  std::string_view host;       // as written: a name, "1.2.3.4", "[::1]", "*", or the path of a Unix socket
  std::string_view port_text;  // empty when none was written
  std::string_view uri;        // what follows the address
  std::uint16_t port = 0;
  std::uint16_t last_port = 0;  // of a range; 0: none
  bool wildcard = false;
  Address address;  // unspecified when the host is a name that must be resolved

  bool has_port() const { return !port_text.empty(); }
  bool needs_resolving() const { return !address.specified(); }
};

// Errors are the established words: "no host", "invalid host", "invalid port", "invalid port range",
// "invalid IPv6 address", "no path in the unix domain socket", "too long path in the unix domain socket".
Result<AddressUrl> parse_address_url(std::string_view text, const AddressUrlRules& rules);

// All addresses of the host, with the port, in the system's order; at least one. Blocks. The error is
// "host not found".
Result<std::vector<Address>> resolve_host(std::string_view host, std::uint16_t port);

// Those of the URL: its own, or resolve_host() when it is a name.
Result<std::vector<Address>> resolve(const AddressUrl& url);

}  // namespace mp::net
