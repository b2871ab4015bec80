// Whether the errno of a send or receive is the network's or the peer's doing. Anything else is ours, or the
// machine's, and worse.
#pragma once

#include <cerrno>

namespace mp::net {

inline bool network_to_blame(int errnum) {
  switch (errnum) {
    case ECONNRESET:
    case EPIPE:
    case ENOTCONN:
    case ETIMEDOUT:
    case ECONNREFUSED:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
      return true;
    default:
      return false;
  }
}

}  // namespace mp::net
