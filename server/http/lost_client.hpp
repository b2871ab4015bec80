// Why a response could not be sent on: in the request's data, for scripts that ask.
#pragma once

namespace mp::http {

// Set when the client has taken nothing for `send_timeout`.
struct ClientTimedOut {
  static constexpr bool kKeepOnRedirect = true;
};

}  // namespace mp::http
