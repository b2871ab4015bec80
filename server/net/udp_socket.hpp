// UdpSocket: a connected datagram socket (or a Unix one) whose receive() parks the fiber. Owns its
// descriptor.
#pragma once

#include <span>
#include <string_view>

#include "base/result.hpp"
#include "fiber/scheduler.hpp"
#include "net/address.hpp"
#include "net/io.hpp"

namespace mp::net {

class UdpSocket final : public fiber::Watch {
 public:
  UdpSocket() = default;
  ~UdpSocket() { close(); }

  // A new socket that talks to `peer` alone, from a port the kernel picks. `bind_to` may be null.
  Status connect(const Address& peer, const Address* bind_to = nullptr);
  bool is_open() const { return fd() >= 0; }
  void close();

  // One datagram; never parks: a full send buffer is a failure (EAGAIN).
  Io send(std::string_view datagram);
  // The next datagram, cut off at the size of `into`; it may be empty. Throws Cancelled.
  Io receive(std::span<char> into, fiber::Msec deadline);
};

}  // namespace mp::net
