#include "net/address_url.hpp"

#include <memory>
#include <optional>
#include <string>

#include <netdb.h>

#include "base/ascii.hpp"
#include "base/numbers.hpp"
#include "base/strings.hpp"

namespace mp::net {
namespace {

std::optional<std::uint16_t> parse_port(std::string_view text) {
  const auto port = parse_unsigned<std::uint16_t>(text);
  return port && *port != 0 ? port : std::nullopt;
}

Result<AddressUrl> parse_unix(std::string_view text, const AddressUrlRules& rules) {
  AddressUrl url;
  url.host = text.substr(5);
  if (rules.uri_part) {
    if (const auto parts = split_once(url.host, ':')) {
      url.host = parts->first;
      url.uri = parts->second;
    }
  }
  if (url.host.empty()) return fail("no path in the unix domain socket");
  const auto address = Address::unix_path(url.host);
  if (!address) return fail("too long path in the unix domain socket");
  url.address = *address;
  return url;
}

// A port, or a range of ports where one listens.
Status take_port(AddressUrl& url, std::string_view text, bool listen) {
  std::string_view first = text;
  if (listen) {
    if (const auto range = split_once(text, '-')) {
      const auto last = parse_port(range->second);
      if (!last) return fail("invalid port");
      url.last_port = *last;
      first = range->first;
    }
  }
  const auto port = parse_port(first);
  if (!port) return fail("invalid port");
  if (url.last_port != 0 && *port > url.last_port) return fail("invalid port range");
  url.port = *port;
  url.port_text = text;
  return {};
}

// "80" or "80-90": digits alone cannot be a host to listen on.
bool looks_like_port(std::string_view text) {
  const auto number = [](std::string_view part) { return parse_natural<std::int64_t>(part).has_value(); };
  const auto range = split_once(text, '-');
  return range ? number(range->first) && number(range->second) : number(text);
}

Result<AddressUrl> parse_v6(std::string_view text, const AddressUrlRules& rules) {
  AddressUrl url;
  const std::size_t close = text.find(']');
  if (close == std::string_view::npos) return fail("invalid host");
  url.host = text.substr(0, close + 1);
  std::string_view rest = text.substr(close + 1);
  if (const std::size_t slash = rest.find('/'); slash != std::string_view::npos) {
    if (rules.listen || !rules.uri_part) return fail("invalid host");
    url.uri = rest.substr(slash);
    rest = rest.substr(0, slash);
  }
  url.port = rules.default_port;
  if (!rest.empty()) {
    if (!consume(rest, ":")) return fail("invalid host");
    TRY(take_port(url, rest, rules.listen));
  }
  if (url.host.size() == 2) return fail("no host");
  const auto address = parse_ipv6(url.host.substr(1, url.host.size() - 2));
  if (!address) return fail("invalid IPv6 address");
  url.address = Address::v6(*address, url.port);
  url.wildcard = url.address.is_wildcard();
  return url;
}

Result<AddressUrl> parse_name_or_v4(std::string_view text, const AddressUrlRules& rules) {
  AddressUrl url;
  if (const std::size_t at = text.find_first_of("/?"); at != std::string_view::npos) {
    if (rules.listen || !rules.uri_part) return fail("invalid host");
    url.uri = text.substr(at);
    text = text.substr(0, at);
  }
  url.port = rules.default_port;
  if (const auto parts = split_once(text, ':')) {
    TRY(take_port(url, parts->second, rules.listen));
    text = parts->first;
  } else if (rules.listen && looks_like_port(text)) {
    TRY(take_port(url, text, true));
    url.address = Address::v4(INADDR_ANY, url.port);
    url.wildcard = true;
    return url;
  }
  if (text.empty()) return fail("no host");
  url.host = text;
  if (rules.listen && text == "*") {
    url.address = Address::v4(INADDR_ANY, url.port);
  } else if (const auto address = parse_ipv4(text)) {
    url.address = Address::v4(*address, url.port);
  }
  url.wildcard = url.address.is_wildcard();
  return url;
}

}  // namespace

Result<AddressUrl> parse_address_url(std::string_view text, const AddressUrlRules& rules) {
  if (starts_with_nocase(text, "unix:")) return parse_unix(text, rules);
  if (text.starts_with('[')) return parse_v6(text, rules);
  return parse_name_or_v4(text, rules);
}

Result<std::vector<Address>> resolve_host(std::string_view host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  if (getaddrinfo(std::string(host).c_str(), nullptr, &hints, &list) != 0) return fail("host not found");
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, freeaddrinfo);

  std::vector<Address> addresses;
  for (const addrinfo* item = list; item != nullptr; item = item->ai_next) {
    Address address = Address::from(item->ai_addr, item->ai_addrlen);
    if (!address.specified()) continue;
    address.set_port(port);
    addresses.push_back(address);
  }
  if (addresses.empty()) return fail("host not found");
  return addresses;
}

Result<std::vector<Address>> resolve(const AddressUrl& url) {
  if (url.needs_resolving()) return resolve_host(url.host, url.port);
  return std::vector<Address>{url.address};
}

}  // namespace mp::net
