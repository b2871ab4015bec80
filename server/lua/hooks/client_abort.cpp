#include "lua/hooks/client_abort.hpp"

#include "fiber/scheduler.hpp"
#include "http/request.hpp"
#include "lua/sched/light_thread.hpp"

namespace mp::lua {

AbortWatch::AbortWatch(http::Request& request, Run& run) : request_(request), run_(run) {
  if (request.exchange == nullptr) return;
  listen(request.connection);
  net::Socket& socket = request.connection.socket;
  if (socket.hangup && socket.peer_gone()) fiber::here()->arm(gone_before_, fiber::now());
}

void AbortWatch::client_gone() {
  log::info(request_.logger, "client prematurely closed connection");
  if (run_.start_on_abort()) return;
  if (outer() != nullptr) outer()->client_gone();
  request_.aborted = true;
  run_.cancel();
}

}  // namespace mp::lua
