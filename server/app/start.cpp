#include "app/start.hpp"

#include <cerrno>
#include <cstdlib>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/master.hpp"
#include "app/new_binary.hpp"
#include "app/pid_file.hpp"
#include "app/signals.hpp"
#include "app/worker.hpp"
#include "base/clock.hpp"
#include "base/identity.hpp"
#include "conf/process_conf.hpp"

namespace mp::app {
namespace {

void log_status(const log::Logger& logger, const conf::Configuration& configuration) {
  const std::string_view method = configuration.root().get<conf::EventsConf>().use;
  log::notice(logger, "using the \"{}\" event method", method.empty() ? "epoll" : method);
  log::notice(logger, "{}", identity().product);
  log::notice(logger, "built by gcc {}", __VERSION__);
  utsname name{};
  if (uname(&name) == 0) log::notice(logger, "OS: {} {}", name.sysname, name.release);
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    log::notice(logger, "getrlimit(RLIMIT_NOFILE): {}:{}", limit.rlim_cur, limit.rlim_max);
  }
}

// The way to the background. The process that was started stays until the server is up, so that its exit code
// tells whether that went well; what serves is its child.
class Background {
 public:
  Background() = default;
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;
  ~Background() {
    if (report_fd_ != -1) ::close(report_fd_);
  }

  Status enter();
  // Lets the waiting process exit with success.
  void report_started() {
    if (report_fd_ == -1) return;
    (void)!::write(report_fd_, "1", 1);
    ::close(std::exchange(report_fd_, -1));
  }

 private:
  int report_fd_ = -1;
};

Status Background::enter() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) == -1) return fail(system_error(errno, "pipe() failed"));
  const pid_t pid = fork();
  if (pid == -1) return fail(system_error(errno, "fork() failed"));
  if (pid != 0) {
    ::close(ends[1]);
    char byte = 0;
    ssize_t n = 0;
    do {
      n = ::read(ends[0], &byte, 1);
    } while (n == -1 && errno == EINTR);
    std::_Exit(n == 1 ? 0 : 1);
  }
  ::close(ends[0]);
  report_fd_ = ends[1];
  if (setsid() == -1) return fail(system_error(errno, "setsid() failed"));
  umask(0);
  const int null = ::open("/dev/null", O_RDWR);
  if (null == -1) return fail(system_error(errno, "open(\"/dev/null\") failed"));
  const bool moved = dup2(null, STDIN_FILENO) != -1 && dup2(null, STDOUT_FILENO) != -1;
  const int errnum = errno;
  if (null > STDERR_FILENO) ::close(null);
  if (!moved) return fail(system_error(errnum, "dup2() failed"));
  return {};
}

// Duplicates for the service, which closes its sockets when it ends; the originals may outlive it.
std::vector<net::ListenSocket> duplicates(const Listeners& listeners, const log::Logger& logger) {
  std::vector<net::ListenSocket> sockets = listeners.for_worker(0, 1);
  for (net::ListenSocket& s : sockets) {
    s.fd = fcntl(s.fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (s.fd == -1) log::emerg(logger, log::Errno{errno}, "fcntl(F_DUPFD_CLOEXEC) failed");
  }
  std::erase_if(sockets, [](const net::ListenSocket& s) { return s.fd == -1; });
  return sockets;
}

// Reads the configuration in a child process, where a mistake can be told and forgotten.
bool accepts_configuration(const Options& options, Cycle& cycle) {
  const pid_t pid = fork();
  if (pid == -1) {
    log::alert(cycle.logger(), log::Errno{errno}, "fork() failed");
    return false;
  }
  if (pid == 0) {
    Listeners none;
    const CycleInput input{
        .options = options, .purpose = Purpose::signal, .logger = cycle.logger(), .starting = false};
    std::_Exit(make_cycle(input, none) != nullptr ? 0 : 1);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) == -1 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int run_single(Cycle& cycle, Listeners& listeners, const Options& options) {
  const WorkerEnd end =
      run_worker({.cycle = cycle,
                  .counter_slot = cycle.wide().counters->take(),
                  .sockets = duplicates(listeners, cycle.logger()),
                  .role = Role::single,
                  .may_reconfigure = [&] { return accepts_configuration(options, cycle); }});
  if (end == WorkerEnd::fatal) return kExitFatal;
  if (end == WorkerEnd::reconfigure) {
    restart_in_place(cycle, listeners);
    return kExitFatal;
  }
  const std::string& path = cycle.process().pid_path;
  if (unlink(path.c_str()) == -1)
    log::alert(cycle.logger(), log::Errno{errno}, "unlink() \"{}\" failed", path);
  log::notice(cycle.logger(), "exit");
  listeners.close_all(true, cycle.logger());
  return 0;
}

}  // namespace

int serve(const Options& options, std::unique_ptr<Cycle> cycle, Listeners& listeners, bool inherited) {
  const log::Logger logger = cycle->logger();
  const auto refuse = [&logger](const Status& status) {
    if (!status) log::write_text(log::Level::emerg, logger, status.error().text);
    return !status;
  };
  const bool single = !cycle->process().master_process;
  log_status(logger, cycle->configuration());
  if (refuse(Signals::install(single ? Role::single : Role::master))) return 1;

  pid_t parent = getppid();
  Background background;
  const bool to_background = cycle->process().daemon && !inherited;
  if (to_background) {
    parent = getpid();
    if (refuse(background.enter())) return 1;
    clock().update();
  }
  if (refuse(write_pid_file(cycle->process().pid_path, getpid(), false))) return 1;
  redirect_stderr(*cycle);
  cycle->wide().error_log.echo_to_stderr(false);
  background.report_started();

  if (single) return run_single(*cycle, listeners, options);
  Master master({.options = options,
                 .listeners = listeners,
                 .cycle = std::move(cycle),
                 .parent = parent,
                 .daemonized = to_background || inherited,
                 .inherited = inherited});
  return master.run();
}

}  // namespace mp::app
