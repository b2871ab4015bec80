#include "app/http_service.hpp"

#include "filters/order.hpp"
#include "http/engine.hpp"
#include "phases/phases.hpp"

namespace mp::app {

Status HttpService::start(const WorkerSetup& setup) {
  http::set_phases(phases::table(filters::kHeaderFilters));
  worker_ = std::make_unique<proto::Worker>(setup.configuration, setup.sockets, setup.counters);
  return worker_->start_accepting();
}

void HttpService::begin_shutdown() {
  worker_->shut_down_gracefully();
}

bool HttpService::drained() const {
  return worker_->idle();
}

void HttpService::abort() {
  worker_->cancel_all();
}

void HttpService::finish() {
  worker_.reset();
}

}  // namespace mp::app
