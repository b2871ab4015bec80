// While one lives, a client that goes away ends the waits of the running fiber: for handlers that only wait,
// where nobody reads from the connection.
#pragma once

#include "fiber/fiber.hpp"
#include "http/request.hpp"

namespace mp::http {

class CancelOnHangup final : public HangupListener {
 public:
  explicit CancelOnHangup(Request& request) : request_(request), fiber_(*fiber::current()) {
    listen(request.connection);
  }

  void client_gone() override {
    log::info(request_.logger, "client prematurely closed connection");
    request_.aborted = true;
    fiber::cancel(fiber_);
  }

 private:
  Request& request_;
  fiber::Fiber& fiber_;
};

}  // namespace mp::http
