#include "proto/linger.hpp"

#include <algorithm>

#include "fiber/scheduler.hpp"

namespace mp::proto {

void linger(net::Socket& socket, std::int64_t time, std::int64_t timeout) {
  const fiber::Msec until = fiber::now() + static_cast<fiber::Msec>(time);
  socket.shutdown_write();
  char dropped[4096];
  while (fiber::now() < until) {
    if (!socket.read(dropped, std::min(until, fiber::now() + static_cast<fiber::Msec>(timeout))).ok()) return;
  }
}

}  // namespace mp::proto
