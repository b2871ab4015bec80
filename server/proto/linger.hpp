// The end of a connection whose client may still be sending.
#pragma once

#include <cstdint>

#include "net/socket.hpp"

namespace mp::proto {

// Says that nothing more will come, and drops what the client still sends: closing with unread input would
// make the kernel send RST, which may destroy the response on its way. Parks, for `time` milliseconds at
// most, or until nothing has come for `timeout`. Leaves the socket open.
void linger(net::Socket& socket, std::int64_t time, std::int64_t timeout);

}  // namespace mp::proto
