#include "lua/sched/detached.hpp"

#include "http/core_conf.hpp"

namespace mp::lua {

Detached::Detached(const conf::Sets& sets) : request_(connection_, sink_) {
  request_.sets = sets;
  request_.method = http::Method::other;
  request_.body.state = http::RequestBody::State::discarded;
  request_.keepalive = false;
  const auto& core = request_.conf<http::CoreLocation>();
  // What it logs names no client.
  request_.logger = {core.error_log.get(), nullptr};
}

}  // namespace mp::lua
