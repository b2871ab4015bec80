// Addresses from any text: the text form of what was read is read as the same address.
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "net/address_url.hpp"
#include "net/cidr.hpp"

using namespace mp::net;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto address = parse_ip_port(text)) {
    assert(parse_ip(address->text()) && parse_ip(address->text())->same_host(*address));
    assert(address->port() == 0 || parse_ip_port(address->text_with_port()) == address);
  }
  if (const auto cidr = parse_cidr(text)) {
    const auto base = parse_ip(text.substr(0, text.find('/')));
    assert(base && (cidr->block.contains(*base) || base->unmapped().is_v4()));
  }
  for (const bool listen : {false, true}) {
    for (const bool uri_part : {false, true}) {
      const auto url = parse_address_url(text, {.default_port = 80, .listen = listen, .uri_part = uri_part});
      if (!url) continue;
      assert(url->address.is_unix() || url->port != 0);
      assert(url->last_port == 0 || (listen && url->last_port >= url->port));
      assert(!url->needs_resolving() || !url->host.empty());
    }
  }
  return 0;
}
