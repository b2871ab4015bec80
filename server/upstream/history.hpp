// History: what a request has to tell of the upstream servers that were asked for it: the $upstream_
// variables. Lives in the request and survives internal redirects, after which further tries are added behind
// a separator.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/headers.hpp"
#include "http/request.hpp"

namespace mp::upstream {

struct Upstream;

// One try at one server.
struct Try {
  std::string_view peer;
  bool separator = false;  // stands between the tries before and after an internal redirect
  int status = 0;
  std::int64_t connect_time = -1;  // milliseconds; -1: never got there
  std::int64_t header_time = -1;
  std::int64_t response_time = -1;
  std::uint64_t response_length = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
  Try* next = nullptr;
};

struct History {
  static constexpr bool kKeepOnRedirect = true;

  Try* first = nullptr;
  Try* last = nullptr;
  const http::Headers* headers = nullptr;  // of the last response, as the server sent them
  const http::Headers* trailers = nullptr;
  const Upstream* upstream = nullptr;  // null: none, or addresses found while running
  void* ssl = nullptr;  // SSL of the connection in use, for scripts; null: none, or not encrypted

  Try& add(http::Request& request);
  void add_separator(http::Request& request) { add(request).separator = true; }
};

// Defines $upstream_addr and the others.
void define_history_variables(http::VariableTable& table);

}  // namespace mp::upstream
