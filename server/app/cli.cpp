#include "app/cli.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <span>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "app/build_details.hpp"
#include "app/cycle.hpp"
#include "app/new_binary.hpp"
#include "app/options.hpp"
#include "app/pid_file.hpp"
#include "app/process_title.hpp"
#include "app/signals.hpp"
#include "app/start.hpp"
#include "base/log.hpp"
#include "base/open_files.hpp"
#include "tls/memory.hpp"

namespace mp::app {
namespace {

// A descriptor below 3 that is closed would be given to the first file or socket opened, which stray output
// would then corrupt.
bool open_standard_descriptors() {
  for (int fd = 0; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) != -1 || errno != EBADF) continue;
    if (::open("/dev/null", O_RDWR) != fd) return false;
  }
  return true;
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

// The log for everything until the configuration's own is open: the file of -e, and stderr.
class StartupLog {
 public:
  explicit StartupLog(const Options& options) {
    const log::Level level = options.test ? log::Level::info : log::Level::notice;
    files_.get(options.error_log_path);
    const Status opened = files_.open_all();
    if (!opened) log::to_stderr("[alert] could not open error log file: " + opened.error().text);
    log_.add_file(opened ? options.error_log_path : std::string(), level, files_);
    if (!opened) files_.open_stderr();
    log_.echo_to_stderr(true);
  }
  log::Logger logger() const { return {&log_}; }

 private:
  OpenFiles files_;
  log::ErrorLog log_;
};

int send_signal(const Options& options, Cycle& cycle, const log::Logger& logger) {
  log::notice(logger, "signal process started");
  const Result<pid_t> pid = read_pid_file(cycle.process().pid_path);
  if (!pid) {
    log::write_text(log::Level::error, logger, pid.error().text);
    return 1;
  }
  const int signo = signal_for_command(options.signal);
  if (kill(*pid, signo) == 0) return 0;
  log::alert(logger, log::Errno{errno}, "kill({}, {}) failed", *pid, signo);
  return 1;
}

Purpose purpose_of(const Options& options) {
  if (options.test) return Purpose::test;
  return options.signal.empty() ? Purpose::serve : Purpose::signal;
}

int run(const Options& options) {
  std::optional<StartupLog> startup(std::in_place, options);
  Listeners listeners;
  const char* inherited = std::getenv(kSocketsVariable);
  const Purpose purpose = purpose_of(options);
  if (inherited != nullptr && purpose == Purpose::serve) listeners.inherit(inherited, startup->logger());

  std::unique_ptr<Cycle> cycle =
      make_cycle({.options = options, .purpose = purpose, .logger = startup->logger()}, listeners);
  if (cycle == nullptr) {
    if (options.test) log::to_stderr("configuration file " + options.conf_path + " test failed");
    return 1;
  }
  switch (purpose) {
    case Purpose::test:
      if (!options.quiet) log::to_stderr("configuration file " + options.conf_path + " test is successful");
      if (options.dump) write_all(STDOUT_FILENO, cycle->configuration().sources().dump());
      return 0;
    case Purpose::signal:
      return send_signal(options, *cycle, startup->logger());
    default:
      startup.reset();  // what follows is logged as the configuration says
      return serve(options, std::move(cycle), listeners, inherited != nullptr);
  }
}

}  // namespace

int main(int argc, char** argv) {
  tls::install_memory();
  if (!open_standard_descriptors()) return 1;
  save_arguments(argc, argv);
  const std::span<const char* const> args(argv + (argc > 0 ? 1 : 0),
                                          static_cast<std::size_t>(argc > 0 ? argc - 1 : 0));
  const Result<Options> options = parse_options(args);
  if (!options) {
    log::to_stderr(options.error().text);
    return 1;
  }
  if (options->version) {
    write_all(STDERR_FILENO, version_text(*options, configure_arguments()));
    if (!options->test) return 0;
  }
  return run(*options);
}

}  // namespace mp::app
