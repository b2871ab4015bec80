#include "app/http_service.hpp"

#include <unistd.h>

#include "conf/process_conf.hpp"
#include "fiber/blocking.hpp"
#include "http/engine.hpp"
#include "http/file_io.hpp"
#include "lua/lua.hpp"
#include "lua/worker_info.hpp"
#include "phases/phases.hpp"
#include "upstream/cache/keeper.hpp"
#include "upstream/resolve.hpp"
#include "upstream/upstream.hpp"

namespace mp::app {

namespace {

constexpr fiber::Msec kExitPatience = 1000;  // milliseconds that exit_worker_by_lua may wait

// What scripts may ask about the process.
void describe_worker(const WorkerSetup& setup) {
  using Kind = lua::WorkerInfo::Kind;
  lua::WorkerInfo& info = lua::worker_info();
  info.kind = setup.is_single             ? Kind::single
              : setup.is_privileged_agent ? Kind::privileged_agent
                                          : Kind::worker;
  info.id = setup.is_privileged_agent ? -1 : static_cast<int>(setup.index);
  info.count = static_cast<int>(setup.workers);
  info.master = setup.is_single ? 0 : getppid();
  info.counters = setup.configuration.root().get<conf::ProcessWide>().counters.get();
}

}  // namespace

Status HttpService::start(const WorkerSetup& setup) {
  http::set_phases(phases::table());
  worker_ = std::make_unique<proto::Worker>(setup.configuration, setup.sockets, setup.counters);
  configuration_ = &setup.configuration;
  scheduler_ = &setup.scheduler;
  logger_ = setup.logger;
  describe_worker(setup);
  // init_worker_by_lua may wait, and no request may come before it is done.
  fiber::spawn([this, index = setup.index, workers = setup.workers] {
    lua::start_worker(*configuration_);
    upstream::start_resolving(*configuration_, index, workers);
    if (index == 0) upstream::start_cache_keeper(*configuration_);
    if (const Status accepting = worker_->start_accepting(); !accepting) {
      log::write_text(log::Level::emerg, logger_, accepting.error().text);
    }
  });
  return {};
}

void HttpService::begin_shutdown() {
  lua::worker_info().exiting = true;
  worker_->shut_down_gracefully();
  lua::begin_shutdown(*configuration_);
  upstream::close_idle_links(*configuration_);
  upstream::stop_resolving(*configuration_);
  upstream::stop_cache_keeper(*configuration_);
}

bool HttpService::drained() const {
  return worker_->idle() && lua::drained(*configuration_);
}

void HttpService::abort() {
  worker_->cancel_all();
  lua::abort_timers(*configuration_);
}

void HttpService::finish() {
  // What nobody waits for any more unwinds, so that what it holds of memory that workers share is free again.
  if (!drained()) {
    worker_->shut_down_gracefully();
    abort();
  }
  bool done = false;
  fiber::Fiber* const last = fiber::spawn([this, &done] {
    struct Done {
      bool& flag;
      ~Done() { flag = true; }
    } const at_the_end{done};
    lua::stop_worker(*configuration_);
  });
  // exit_worker_by_lua may wait, but not keep the worker for ever.
  const fiber::Msec deadline = scheduler_->now() + kExitPatience;
  while (!done) {
    const fiber::Msec now = scheduler_->now();
    if (now >= deadline) fiber::cancel(*last);
    scheduler_->turn(now < deadline ? deadline - now : kExitPatience);
  }
  upstream::close_idle_links(*configuration_);
  upstream::stop_resolving(*configuration_);
  upstream::stop_cache_keeper(*configuration_);
  // Now what the worker does for itself: ask a name server, say.
  scheduler_->cancel_all();
  scheduler_->turn(0);
  // What threads are looking at stays until they have done their piece, which is short. Not even an exit
  // would be quicker: one that the disk holds up holds up the process.
  while (fiber::blocking() > 0) scheduler_->turn(kExitPatience);
  lua::release_worker_state(*configuration_);
  configuration_->root().get<http::FilePools>().clear();
}

}  // namespace mp::app
