// UdpSocket: what a script holds as a datagram socket: one with a peer (setpeername). Lives in a userdata of
// the Vm.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "fiber/scheduler.hpp"
#include "lua/socket/owned.hpp"
#include "net/address.hpp"
#include "net/io.hpp"

namespace mp::lua {

class UdpSocket final : public OwnedSocket {
 public:
  ~UdpSocket() override { close(); }

  std::optional<net::Address> bind_to;
  fiber::Msec timeout = 0;  // as the script has set it; 0: the directive's
  bool waiting = false;     // a thread is in setpeername() or receive()
  bool used = false;        // it had a peer at least once
  std::string about;        // about_peer(), for log lines

  bool is_open() const { return watch_.fd() >= 0; }
  // The error's code is an errno.
  Status connect(const net::Address& peer);
  // One datagram; `again` is not returned: an error has the errno EAGAIN then.
  net::Io send(std::string_view datagram);
  // One datagram, cut to the room. `bytes` may be 0. Parks.
  net::Io receive(std::span<char> into, fiber::Msec deadline);
  void close() override;

 private:
  fiber::Watch watch_;
};

}  // namespace mp::lua
