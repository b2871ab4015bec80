// Splice: bytes on their way from one socket to another through a pipe, where the kernel passes its own
// buffers on: they are never copied into this process. On the stack of the fiber that moves them; closes its
// pipe.
#pragma once

#include <cstddef>

#include "net/io.hpp"
#include "net/socket.hpp"

namespace mp::net {

class Splice {
 public:
  Splice() = default;
  Splice(const Splice&) = delete;
  Splice& operator=(const Splice&) = delete;
  ~Splice();

  // Both ends have descriptors of their own, with nothing that looks at the bytes in front.
  static bool fits(const Socket& from, const Socket& to);
  bool open();  // false: there is no pipe to be had

  std::size_t held() const { return held_; }  // bytes that have left one socket and not entered the other
  // Never park. What they return is as from Socket::try_read() and try_write().
  Io take(Socket& from, std::size_t most);  // only while nothing is held
  Io give(Socket& to);

 private:
  int in_ = -1;
  int out_ = -1;
  std::size_t held_ = 0;
};

}  // namespace mp::net
