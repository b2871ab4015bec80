// Why a request ended early: in the request's data, for scripts that ask and for how its connection ends.
#pragma once

namespace mp::http {

// Set when the client has taken nothing for `send_timeout`, or sent nothing of the rest of its head or body
// for as long as it may.
struct ClientTimedOut {
  static constexpr bool kKeepOnRedirect = true;
};

}  // namespace mp::http
