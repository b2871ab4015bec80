#include "app/master.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/new_binary.hpp"
#include "app/process_title.hpp"
#include "app/worker.hpp"
#include "base/clock.hpp"

namespace mp::app {
namespace {

constexpr std::uint64_t kPatienceWithTerm = 1500;   // ms until SIGKILL follows SIGTERM
constexpr std::uint64_t kPatienceWithStart = 5000;  // ms that a reload waits for the new workers to serve
constexpr std::uint64_t kQuick = 1000;              // a worker that dies sooner had no chance
constexpr unsigned kQuickDeaths = 3;                // replaced at once this often, then once a second

std::string joined_arguments() {
  std::string text;
  for (const std::string& argument : saved_arguments()) text += " " + argument;
  return text;
}

}  // namespace

Master::Master(MasterStart start)
    : options_(start.options),
      listeners_(start.listeners),
      cycle_(std::move(start.cycle)),
      parent_(start.parent),
      daemonized_(start.daemonized),
      inherited_(start.inherited) {}

Master::~Master() {
  if (ready_fd_ != -1) ::close(ready_fd_);
}

int Master::run() {
  set_process_title("master process" + joined_arguments());
  ready_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (ready_fd_ == -1) {
    log::alert(logger(), log::Errno{errno}, "eventfd() failed");
    return kExitFatal;
  }
  spawn_workers(false);
  for (;;) {
    if (!any_alive() && (terminate_ || quit_)) return finish();
    wait();
    clock().update();
    take_signals();
    count_ready();
    run_deadlines();
  }
}

void Master::wait() {
  const std::uint64_t deadline = next_deadline();
  const std::uint64_t now = clock().monotonic_ms();
  const int timeout = deadline == 0 ? -1 : static_cast<int>(deadline > now ? deadline - now : 0);
  pollfd fds[] = {{Signals::fd(), POLLIN, 0}, {ready_fd_, POLLIN, 0}};
  poll(fds, 2, timeout);
}

// 0 when nothing is to happen by itself.
std::uint64_t Master::next_deadline() const {
  std::uint64_t next = 0;
  const auto consider = [&next](std::uint64_t at) {
    if (at != 0 && (next == 0 || at < next)) next = at;
  };
  consider(kill_at_);
  consider(old_quit_at_);
  for (const Child& child : children_) consider(child.respawn_at);
  return next;
}

void Master::run_deadlines() {
  const std::uint64_t now = clock().monotonic_ms();
  if (kill_at_ != 0 && now >= kill_at_) {
    kill_at_ = now + kPatienceWithTerm;
    signal_workers(SIGKILL);
  }
  if (old_quit_at_ != 0 && now >= old_quit_at_) finish_reload();
  for (Child& child : children_) {
    if (child.respawn_at == 0 || now < child.respawn_at) continue;
    child.respawn_at = 0;
    if (!terminate_ && !quit_) spawn(child);
  }
}

// --- signals -----------------------------------------------------------------------------------------------

void Master::take_signals() {
  while (const auto note = Signals::next()) {
    const bool upgrading = new_binary_ > 0 || getppid() == parent_;
    const Verdict verdict = decide(Role::master, note->signo, {daemonized_, upgrading});
    if (note->sender != 0) {
      log::notice(logger(), "signal {} ({}) received from {}{}", note->signo, signal_name(note->signo),
                  note->sender, verdict.text);
    } else {
      log::notice(logger(), "signal {} ({}) received{}", note->signo, signal_name(note->signo), verdict.text);
    }
    if (note->signo == SIGUSR2 && verdict.action == Action::none) {
      log::crit(
          logger(),
          "the changing binary signal is ignored: you should shutdown or terminate before either old or new "
          "binary's process");
    }
    act(verdict.action);
  }
}

void Master::act(Action action) {
  switch (action) {
    case Action::reap:
      reap();
      break;
    case Action::terminate:
      terminate_ = true;
      if (kill_at_ == 0) kill_at_ = clock().monotonic_ms() + kPatienceWithTerm;
      finish_reload();
      signal_workers(SIGTERM);
      break;
    case Action::quit:
      quit_ = true;
      finish_reload();
      signal_workers(SIGQUIT);
      listeners_.close_all(new_binary_ == 0 && !(inherited_ && getppid() == parent_), logger());
      break;
    case Action::reconfigure:
      if (!quit_ && !terminate_) reload();
      break;
    case Action::reopen:
      reopen_logs();
      break;
    case Action::change_binary:
      change_binary();
      break;
    case Action::no_accept:
      no_accepting_ = true;
      finish_reload();
      signal_workers(SIGQUIT);
      break;
    case Action::none:
      break;
  }
}

// --- workers -----------------------------------------------------------------------------------------------

std::string_view Master::kind_of(const Child& child) {
  if (child.is_binary) return "new binary process";
  return child.is_privileged_agent ? "privileged agent process" : "worker process";
}

void Master::spawn_workers(bool just_spawned) {
  log::notice(logger(), "start worker processes");
  const unsigned count = cycle_->workers();
  for (unsigned i = 0; i < count; ++i) {
    Child child;
    child.index = i;
    child.just_spawned = just_spawned;
    if (spawn(child)) children_.push_back(child);
  }
  if (!cycle_->wide().privileged_agent) return;
  Child agent;
  agent.is_privileged_agent = true;
  agent.just_spawned = just_spawned;
  if (spawn(agent)) children_.push_back(agent);
}

bool Master::spawn(Child& child) {
  // Signals wait until the child has handlers of its own.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &before);
  child.counter_slot = cycle_->wide().counters->take();
  const pid_t pid = fork();
  if (pid == 0) become_worker_process(child);
  const int errnum = errno;
  sigprocmask(SIG_SETMASK, &before, nullptr);
  if (pid == -1) {
    cycle_->wide().counters->retire(child.counter_slot);
    log::alert(logger(), log::Errno{errnum}, "fork() failed while spawning \"{}\"", kind_of(child));
    return false;
  }
  if (!child.is_privileged_agent) cycle_->wide().counters->slot(child.counter_slot).pid.set(pid);
  child.pid = pid;
  child.exiting = false;
  child.started_ms = clock().monotonic_ms();
  log::notice(logger(), "start {} {}", kind_of(child), pid);
  return true;
}

void Master::become_worker_process(const Child& child) {
  clock().update();
  if (const Status installed = Signals::install(Role::worker); !installed) {
    log::write_text(log::Level::emerg, logger(), installed.error().text);
    std::_Exit(kExitFatal);
  }
  const unsigned workers = cycle_->workers();
  std::vector<net::ListenSocket> sockets;
  if (!child.is_privileged_agent) sockets = listeners_.for_worker(child.index, workers);
  listeners_.keep_only(sockets);
  const WorkerStart start{.cycle = *cycle_,
                          .index = child.index,
                          .workers = workers,
                          .counter_slot = child.counter_slot,
                          .sockets = std::move(sockets),
                          .role = Role::worker,
                          .is_privileged_agent = child.is_privileged_agent,
                          .daemonized = daemonized_,
                          .master = getppid(),
                          .ready_fd = ready_fd_};
  const WorkerEnd end = run_worker(start);
  if (end != WorkerEnd::fatal) log::notice(logger(), "exit");
  // What a worker holds goes with the process; destroying it piece by piece would only delay the end.
  std::_Exit(end == WorkerEnd::fatal ? kExitFatal : 0);
}

void Master::signal_workers(int signo) {
  for (Child& child : children_) {
    if (child.is_binary || child.pid == -1) continue;
    if (child.just_spawned) {
      child.just_spawned = false;
      continue;
    }
    if (child.exiting && signo == SIGQUIT) continue;
    if (kill(child.pid, signo) == -1) {
      log::alert(logger(), log::Errno{errno}, "kill({}, {}) failed", child.pid, signo);
      continue;
    }
    if (signo != SIGUSR1) child.exiting = true;
  }
}

void Master::reap() {
  for (;;) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid == -1 && errno == EINTR) continue;
    if (pid <= 0) break;
    const auto found =
        std::find_if(children_.begin(), children_.end(), [pid](const Child& c) { return c.pid == pid; });
    const std::string_view name = found == children_.end() ? "unknown process" : kind_of(*found);
    if (WIFSIGNALED(status)) {
      log::alert(logger(), "{} {} exited on signal {}{}", name, pid, WTERMSIG(status),
                 WCOREDUMP(status) ? " (core dumped)" : "");
    } else {
      log::notice(logger(), "{} {} exited with code {}", name, pid, WEXITSTATUS(status));
    }
    if (found != children_.end()) child_ended(*found, status);
  }
  std::erase_if(children_, [](const Child& c) { return c.pid == -1 && c.respawn_at == 0; });
}

void Master::child_ended(Child& child, int status) {
  const pid_t pid = std::exchange(child.pid, -1);
  if (child.is_binary) {
    binary_ended();
    return;
  }
  cycle_->wide().counters->retire(child.counter_slot);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kExitFatal && child.respawn) {
    log::alert(logger(), "{} {} exited with fatal code {} and cannot be respawned", kind_of(child), pid,
               kExitFatal);
    child.respawn = false;
  }
  if (!child.respawn || child.exiting || terminate_ || quit_) return;
  const std::uint64_t now = clock().monotonic_ms();
  child.quick_deaths = now - child.started_ms < kQuick ? child.quick_deaths + 1 : 0;
  if (child.quick_deaths > kQuickDeaths) {
    child.respawn_at = now + kQuick;
  } else if (!spawn(child)) {
    log::alert(logger(), "could not respawn {}", kind_of(child));
    child.respawn_at = now + kQuick;
  }
}

bool Master::any_alive() const {
  return std::any_of(children_.begin(), children_.end(),
                     [](const Child& c) { return c.pid != -1 && !c.is_binary; });
}

// --- reload ------------------------------------------------------------------------------------------------

void Master::reload() {
  finish_reload();
  if (new_binary_ != 0) {  // the operator goes back to this binary
    spawn_workers(false);
    no_accepting_ = false;
    return;
  }
  log::notice(logger(), "reconfiguring");
  const CycleInput input{.options = options_,
                         .purpose = Purpose::serve,
                         .logger = logger(),
                         .previous = cycle_.get(),
                         .starting = false};
  std::unique_ptr<Cycle> next = make_cycle(input, listeners_);
  if (next == nullptr) return;
  redirect_stderr(*next);
  cycle_ = std::move(next);
  // Nobody of the old configuration is replaced from here on: a replacement would run the new one.
  for (Child& child : children_) child.respawn = false;
  std::erase_if(children_, [](const Child& c) { return c.pid == -1; });
  std::uint64_t unread = 0;
  (void)!::read(ready_fd_, &unread, sizeof unread);
  spawn_workers(true);
  awaited_ = static_cast<unsigned>(
      std::count_if(children_.begin(), children_.end(), [](const Child& c) { return c.just_spawned; }));
  old_quit_at_ = clock().monotonic_ms() + kPatienceWithStart;
  if (awaited_ == 0) finish_reload();
}

void Master::count_ready() {
  std::uint64_t count = 0;
  if (::read(ready_fd_, &count, sizeof count) != sizeof count || old_quit_at_ == 0) return;
  awaited_ -= static_cast<unsigned>(std::min<std::uint64_t>(awaited_, count));
  if (awaited_ == 0) finish_reload();
}

// The new workers serve: the old ones may go.
void Master::finish_reload() {
  if (std::exchange(old_quit_at_, 0) == 0) return;
  signal_workers(SIGQUIT);
}

void Master::reopen_logs() {
  log::notice(logger(), "reopening logs");
  const uid_t user = geteuid() == 0 ? cycle_->process().user : conf::kNoUser;
  cycle_->wide().files.reopen(logger(), user);
  redirect_stderr(*cycle_);
  signal_workers(SIGUSR1);
}

// --- binary upgrade ----------------------------------------------------------------------------------------

void Master::change_binary() {
  log::notice(logger(), "changing binary");
  const pid_t pid = start_new_binary(*cycle_, listeners_);
  if (pid == -1) return;
  new_binary_ = pid;
  Child child;
  child.pid = pid;
  child.is_binary = true;
  child.respawn = false;
  children_.push_back(child);
}

void Master::binary_ended() {
  new_binary_ = 0;
  const conf::ProcessConf& process = cycle_->process();
  if (rename(process.old_pid_path.c_str(), process.pid_path.c_str()) == -1) {
    log::alert(logger(), log::Errno{errno},
               "rename() {} back to {} failed after the new binary process \"{}\" exited",
               process.old_pid_path, process.pid_path, saved_arguments().front());
  }
  if (std::exchange(no_accepting_, false) && !quit_ && !terminate_) spawn_workers(false);
}

// --- end ---------------------------------------------------------------------------------------------------

int Master::finish() {
  const conf::ProcessConf& process = cycle_->process();
  const std::string& path = new_binary_ != 0 ? process.old_pid_path : process.pid_path;
  if (unlink(path.c_str()) == -1) log::alert(logger(), log::Errno{errno}, "unlink() \"{}\" failed", path);
  log::notice(logger(), "exit");
  listeners_.close_all(new_binary_ == 0 && !(inherited_ && getppid() == parent_), logger());
  return 0;
}

}  // namespace mp::app
