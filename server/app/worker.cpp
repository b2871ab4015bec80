#include "app/worker.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include <unistd.h>

#include "app/privileges.hpp"
#include "app/process_title.hpp"
#include "app/service.hpp"
#include "base/clock.hpp"
#include "conf/process_conf.hpp"
#include "fiber/scheduler.hpp"
#include "tls/memory.hpp"

namespace mp::app {
namespace {

// Lets the signal descriptor end the scheduler's wait; the loop below looks at the notes after every turn.
class SignalWatch final : public fiber::Watch {};

fiber::Scheduler::Options event_options(Cycle& cycle) {
  const auto& events = cycle.configuration().root().get<conf::EventsConf>();
  return {.max_events = events.use.get() == "poll" ? 0 : std::max<int>(events.epoll_events, 1)};
}

class Worker {
 public:
  explicit Worker(const WorkerStart& start)
      : start_(start),
        logger_(start.cycle.logger()),
        counters_(start.cycle.wide().counters->slot(start.counter_slot)),
        scheduler_(event_options(start.cycle)) {}

  WorkerEnd run();

 private:
  bool start_service();
  void take_signals();
  void begin_quit();
  bool finished();

  const WorkerStart& start_;
  log::Logger logger_;
  SharedCounters::Slot& counters_;
  fiber::Scheduler scheduler_;
  SignalWatch signals_;
  std::unique_ptr<Service> service_;
  bool terminate_ = false;
  bool quit_ = false;
  bool exiting_ = false;
  bool reconfigure_ = false;
  bool aborted_ = false;
  std::uint64_t abort_at_ = fiber::kNever;
};

bool Worker::start_service() {
  scheduler_.on_tick = [](void*) { clock().update(fiber::now()); };
  if (!signals_.add(Signals::fd(), EPOLLIN)) {
    log::emerg(logger_, log::Errno{errno}, "epoll_ctl() failed");
    return false;
  }
  service_ = make_service();
  if (!start_.is_privileged_agent) counters_.pid.set(getpid());
  const Status started = service_->start({.configuration = start_.cycle.configuration(),
                                          .scheduler = scheduler_,
                                          .logger = logger_,
                                          .counters = counters_,
                                          .index = start_.index,
                                          .workers = start_.workers,
                                          .is_single = start_.role == Role::single,
                                          .is_privileged_agent = start_.is_privileged_agent,
                                          .sockets = start_.sockets});
  if (!started) {
    log::write_text(log::Level::emerg, logger_, started.error().text);
    return false;
  }
  const std::uint64_t one = 1;
  if (start_.ready_fd != -1) (void)!::write(start_.ready_fd, &one, sizeof one);
  return true;
}

void Worker::take_signals() {
  while (const auto note = Signals::next()) {
    const Verdict verdict = decide(start_.role, note->signo, {start_.daemonized, false});
    if (note->sender == 0) {
      log::notice(logger_, "signal {} ({}) received{}", note->signo, signal_name(note->signo), verdict.text);
    } else if (note->sender != start_.master || verdict.action == Action::none) {
      log::notice(logger_, "signal {} ({}) received from {}{}", note->signo, signal_name(note->signo),
                  note->sender, verdict.text);
    }
    switch (verdict.action) {
      case Action::terminate:
        terminate_ = true;
        break;
      case Action::quit:
        quit_ = true;
        break;
      case Action::reopen:
        log::notice(logger_, "reopening logs");
        start_.cycle.wide().files.reopen(logger_, conf::kNoUser);
        break;
      case Action::reconfigure:
        log::notice(logger_, "reconfiguring");
        if (start_.may_reconfigure()) reconfigure_ = quit_ = true;
        break;
      default:
        break;
    }
  }
}

void Worker::begin_quit() {
  exiting_ = true;
  if (!reconfigure_) log::notice(logger_, "gracefully shutting down");
  if (start_.role == Role::worker) {
    set_process_title(start_.is_privileged_agent ? "privileged agent process is shutting down"
                                                 : "worker process is shutting down");
  }
  const std::int64_t limit = start_.cycle.process().shutdown_timeout;
  if (limit > 0) abort_at_ = scheduler_.now() + static_cast<std::uint64_t>(limit);
  service_->begin_shutdown();
  // Our copies of the sockets: while one is open, the kernel goes on taking connections for it.
  for (const net::ListenSocket& s : start_.sockets) ::close(s.fd);
}

bool Worker::finished() {
  if (terminate_) return true;
  if (quit_ && !exiting_) begin_quit();
  if (!exiting_) return false;
  if (!aborted_ && scheduler_.now() >= abort_at_) {
    aborted_ = true;
    service_->abort();
  }
  return service_->drained();
}

WorkerEnd Worker::run() {
  if (!start_service()) return WorkerEnd::fatal;
  take_signals();
  while (!finished()) {
    const bool bounded = exiting_ && !aborted_ && abort_at_ != fiber::kNever;
    const std::uint64_t now = scheduler_.now();
    scheduler_.turn(bounded ? (abort_at_ > now ? abort_at_ - now : 0) : fiber::kNever);
    counters_.fibers.set(static_cast<std::int64_t>(scheduler_.fibers()));
    if (std::exchange(signals_.readable, false)) take_signals();
  }
  const bool reconfigures = reconfigure_ && !terminate_;
  if (!reconfigures) log::notice(logger_, "exiting");
  service_->finish();
  start_.cycle.wide().files.flush();
  return reconfigures ? WorkerEnd::reconfigure : WorkerEnd::finished;
}

}  // namespace

WorkerEnd run_worker(const WorkerStart& start) {
  const bool child = start.role == Role::worker;
  if (!child) take_environment(start.cycle);
  if (child && !become_worker(start.cycle, start.index, start.is_privileged_agent)) return WorkerEnd::fatal;
  if (child) set_process_title(start.is_privileged_agent ? "privileged agent process" : "worker process");
  std::srand(static_cast<unsigned>(getpid()) << 16 ^ static_cast<unsigned>(clock().seconds()) ^
             static_cast<unsigned>(clock().msec()));
  tls::pool_memory();
  Worker worker(start);
  return worker.run();
}

}  // namespace mp::app
