// The parts of a request target in front of the path, and host names as clients send them
// (RFC 9110 section 7.2, RFC 9112 section 3.2). Pure functions; results are views into the text or,
// where letters must be lowered, into the arena.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/arena.hpp"

namespace mp::http {

struct RequestTarget {
  std::string_view scheme;     // absolute form only
  std::string_view authority;  // host[:port], absolute and authority form only; not yet validated
  std::string_view uri;        // for parse_request_uri()
};

// Origin form ("/path?args"), absolute form ("http://host:port/path"), and, for CONNECT alone,
// authority form ("host:port"). Nothing for anything else: "*", userinfo, an unfinished scheme.
std::optional<RequestTarget> parse_request_target(std::string_view target, bool is_connect);

struct Host {
  std::string_view name;   // lower case, without port and trailing dot; an IPv6 literal keeps its brackets
  std::uint16_t port = 0;  // 0: none given
};

// A Host header, :authority, or SNI-like name. Nothing when it is empty or has a character that a host
// cannot have, two dots in a row, an open bracket, or a port above 65535.
std::optional<Host> parse_host(Arena& arena, std::string_view text);

}  // namespace mp::http
