// DirectBody: what an Exchange is besides when the body of its request may be taken out of a socket without
// being read: whoever passes it on unchanged asks for it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "net/socket.hpp"

namespace mp::http {

class Request;

class DirectBody {
 public:
  // The next `left` bytes of this socket are the rest of the body. Null: they are not, or not yet.
  virtual net::Socket* direct_body(std::uint64_t& left) = 0;
  // So many of them were taken out of it.
  virtual void took_direct(Request& request, std::size_t bytes) = 0;

 protected:
  ~DirectBody() = default;
};

}  // namespace mp::http
