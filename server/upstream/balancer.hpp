// Balancer: chooses the peer for each try of one request. One object a request, in its arena, made by the
// balancing method of the upstream.
//
// This is also the door for methods that are not written in C++: whoever registers a Method on an Upstream (a
// directive inside upstream {}) is asked for a Balancer by every request, and may hold state in it between
// tries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.hpp"
#include "http/request.hpp"
#include "net/address.hpp"

namespace mp::upstream {

struct Upstream;

// What a try goes to.
struct Target {
  const net::Address* address = nullptr;
  std::string_view name;  // "127.0.0.1:8080", as $upstream_addr and the log show it
  std::string_view sid;   // of the peer, for sticky sessions

  // What a balancer may change for this one try; below zero: as configured.
  std::int64_t connect_timeout = -1;
  std::int64_t send_timeout = -1;
  std::int64_t read_timeout = -1;

  static std::int64_t either(std::int64_t wished, std::int64_t configured) {
    return wished >= 0 ? wished : configured;
  }

  std::optional<bool> tls;             // false: no TLS though the URL says https
  const net::Address* bind = nullptr;  // the local address

  // Connections that may stand for each other have the same identity beside the address (local
  // address, what a balancer adds).
  std::string_view identity;
  std::string_view tls_name;  // in place of the host of the URL; empty: that one
  // How to keep the connection when the balancer has its own wishes: 0 as the upstream says.
  std::int64_t keepalive_timeout = 0;
  std::int64_t keepalive_requests = 0;
  std::size_t keepalive_capacity = 0;  // of the upstream's pool
};

enum class Pick : std::uint8_t {
  ok,        // target() says where
  busy,      // nobody can be asked: "no live upstreams"
  declined,  // this try failed before it began: the next one
  error,     // the request ends with `error_status`
};

// How a try went.
enum class Release : std::uint8_t {
  good,
  next,    // the peer works but another one shall answer (403, 404)
  failed,  // counts against the peer
};

class Balancer {
 public:
  // Chooses for the next try. On the request's fiber; may park.
  virtual Pick pick(http::Request& request) = 0;
  // Gives back what pick() chose, once.
  virtual void release(http::Request& request, Release outcome) = 0;
  // The head of the answer has come, header_time is known.
  virtual void head_came(http::Request&) {}

  Target target;
  std::int64_t header_time = -1;    // of the present try, in milliseconds
  std::int64_t response_time = -1;  // set before release()
  unsigned tries = 0;               // left, the present one included
  std::string_view sid_hint;        // the peer a sticky session asks for
  unsigned most_tries = 0;          // proxy_next_upstream_tries; 0: no limit
  int error_status = 500;           // of Pick::error
  // The status with which the last try failed, for those who ask: 0 before the first.
  int last_status = 0;
  bool recreate_request = false;  // make the request anew for this try

 protected:
  ~Balancer() = default;  // the arena knows what it has made
};

// A balancing method of one upstream {}: one object in the configuration.
class Method {
 public:
  virtual ~Method() = default;
  // After the whole upstream {} was read and its peers made.
  virtual Status prepare(Upstream&) { return {}; }
  virtual Balancer* make(http::Request& request, Upstream& upstream) = 0;
};

}  // namespace mp::upstream
