// Asking an OCSP responder over HTTP. Runs on a fiber.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "fiber/scheduler.hpp"
#include "net/address.hpp"
#include "net/resolver.hpp"

namespace mp::tls {

struct OcspResponder {
  std::string host;
  std::string uri;  // begins with '/'
  std::uint16_t port = 80;
  std::vector<net::Address> addresses;  // known when the configuration was read

  bool known() const { return !host.empty(); }
  // "http://host:port/uri". With `resolve` names are looked up now, which blocks. Errors: `invalid URL
  // prefix`, `empty host`, `host not found`, ...
  static Result<OcspResponder> parse(std::string_view url, bool resolve);
};

struct OcspResolver {
  net::Resolver* resolver = nullptr;  // null: names must be known already
  fiber::Msec timeout = 30000;
};

// The body of the answer to `request` (DER). Parks; throws Cancelled. Errors are lines for the log:
// `OCSP responder timed out`, `OCSP responder prematurely closed connection`, `OCSP responder sent invalid
// response`.
Result<std::string> ask_ocsp(const OcspResponder& responder, const OcspResolver& resolver,
                             std::string_view request);

// The body of an HTTP response; apart for tests. `complete`: the connection has ended.
enum class OcspHttp : std::uint8_t { need_more, done, invalid, wrong_type };
OcspHttp parse_ocsp_http(std::string_view data, bool complete, std::string_view& body);

}  // namespace mp::tls
