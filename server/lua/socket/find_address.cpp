#include "lua/socket/find_address.hpp"

#include <fmt/core.h>

#include "fiber/scheduler.hpp"
#include "http/request.hpp"
#include "net/address_url.hpp"
#include "upstream/resolver_conf.hpp"

namespace mp::lua {

Result<net::Address> find_address(const http::Request& r, std::string_view host, std::uint16_t port) {
  const auto url = net::parse_address_url(host, {.default_port = port});
  if (!url) return fail(fmt::format("failed to parse host name \"{}\": {}", host, url.error().text));
  if (!url->needs_resolving()) return url->address;
  const auto& conf = r.conf<upstream::ResolverConf>();
  const std::shared_ptr<net::Resolver> resolver = conf.resolver.get();
  if (!resolver) return fail(fmt::format("no resolver defined to resolve \"{}\"", host));
  auto found = resolver->resolve(url->host, fiber::now() + static_cast<fiber::Msec>(conf.timeout.get()));
  if (!found) return fail(std::move(found.error()));
  net::Address address = found->front();
  address.set_port(url->port);
  return address;
}

std::string about_peer(std::string_view host, const net::Address& address) {
  if (address.is_unix()) return fmt::format(", upstream: {}", host);
  return fmt::format(", upstream: {}:{}({})", host, address.port(), address.text());
}

}  // namespace mp::lua
