#include "lua/hooks/client_abort.hpp"

#include <utility>

#include "fiber/scheduler.hpp"
#include "http/request.hpp"
#include "lua/sched/light_thread.hpp"

namespace mp::lua {

AbortWatch::AbortWatch(http::Request& request, Run& run, bool wanted) : request_(request), run_(run) {
  if (!wanted || request.exchange == nullptr) return;
  watching_ = true;
  outer_ = std::exchange(request.connection.hangup_listener, this);
  net::Socket& socket = request.connection.socket;
  if (socket.hangup && socket.peer_gone()) fiber::here()->arm(gone_before_, fiber::now());
}

AbortWatch::~AbortWatch() {
  if (watching_) request_.connection.hangup_listener = outer_;
}

void AbortWatch::client_gone() {
  log::info(request_.logger, "client prematurely closed connection");
  if (run_.start_on_abort()) return;
  if (outer_ != nullptr) outer_->client_gone();
  request_.aborted = true;
  run_.cancel();
}

}  // namespace mp::lua
