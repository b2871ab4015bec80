#include "app/cycle.hpp"

#include <algorithm>
#include <cerrno>

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/build_details.hpp"
#include "app/modules.hpp"
#include "app/pid_file.hpp"
#include "base/identity.hpp"
#include "lua/lua.hpp"
#include "lua/worker_info.hpp"

namespace mp::app {
namespace {

const conf::Registry& registry() {
  static const conf::Registry instance(modules());
  return instance;
}

// The log gets the headline; somebody at a terminal also sees the source line.
void report(const CycleInput& input, const conf::Configuration& configuration) {
  for (const conf::Diagnostic& d : configuration.diagnostics()) {
    const bool warning = d.severity == conf::Diagnostic::Severity::warning;
    const log::Level level = warning ? log::Level::warn : log::Level::emerg;
    log::write_text(level, input.logger, conf::headline(d, configuration.sources()));
    if (!input.starting || warning) continue;
    const std::string whole = conf::describe(d, configuration.sources());
    const std::size_t excerpt = whole.find('\n');
    if (excerpt == std::string::npos) continue;
    const std::string text = whole.substr(excerpt + 1) + "\n";
    (void)!::write(STDERR_FILENO, text.data(), text.size());
  }
}

// mkdir with the rights nginx gives such folders, and the workers' user as their owner.
Status make_folder(const std::string& path, uid_t user) {
  if (mkdir(path.c_str(), 0700) == -1 && errno != EEXIST) {
    return fail(system_error(errno, "mkdir() \"" + path + "\" failed"));
  }
  if (user == conf::kNoUser) return {};
  struct stat st{};
  if (stat(path.c_str(), &st) == -1) return fail(system_error(errno, "stat() \"" + path + "\" failed"));
  if (st.st_uid != user && chown(path.c_str(), user, conf::kNoGroup) == -1) {
    return fail(system_error(errno, "chown(\"" + path + "\", " + std::to_string(user) + ") failed"));
  }
  if ((st.st_mode & S_IRWXU) != S_IRWXU && chmod(path.c_str(), st.st_mode | S_IRWXU) == -1) {
    return fail(system_error(errno, "chmod() \"" + path + "\" failed"));
  }
  return {};
}

Status make_folders(Cycle& cycle) {
  const bool root = geteuid() == 0;
  for (const std::string& path : cycle.wide().folders) {
    TRY(make_folder(path, root ? cycle.process().user : conf::kNoUser));
  }
  return {};
}

// A new name of the pid file takes effect with the reload; the start writes it later, once the process id is
// known.
Status move_pid_file(const CycleInput& input, Cycle& cycle) {
  const std::string& old_path = input.previous->process().pid_path;
  if (old_path == cycle.process().pid_path) return {};
  TRY(write_pid_file(cycle.process().pid_path, getpid(), false));
  if (unlink(old_path.c_str()) == -1)
    log::alert(cycle.logger(), log::Errno{errno}, "unlink() \"{}\" failed", old_path);
  return {};
}

Status open_logs(const CycleInput& input, Cycle& cycle) {
  conf::ProcessWide& wide = cycle.wide();
  if (!wide.error_log.has_file())
    wide.error_log.add_file(input.options.error_log_path, log::Level::error, wide.files);
  wide.error_log.echo_to_stderr(input.starting);
  return wide.files.open_all();
}

void warn_of_limits(Cycle& cycle) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == -1) return;
  const std::int64_t configured = cycle.process().rlimit_nofile;
  const int connections = cycle.configuration().root().get<conf::EventsConf>().worker_connections;
  const auto available = configured == -1 ? static_cast<std::int64_t>(limit.rlim_cur) : configured;
  if (connections > available) {
    log::warn(cycle.logger(), "{} worker_connections exceed open file resource limit: {}", connections,
              available);
  }
}

// One connection for each listening address, and one for a client.
Status check_connections(Cycle& cycle) {
  const int connections = cycle.configuration().root().get<conf::EventsConf>().worker_connections;
  const std::size_t sockets = cycle.wide().listeners.size();
  if (static_cast<std::size_t>(connections) > sockets) return {};
  return fail(std::to_string(connections) + " worker_connections are not enough for " +
              std::to_string(sockets) + " listening sockets");
}

bool refuse(const log::Logger& logger, const Status& status, log::Level level = log::Level::emerg) {
  if (!status) log::write_text(level, logger, status.error().text);
  return !status;
}

Status share_counters(const CycleInput& input, Cycle& cycle) {
  if (input.previous != nullptr) {
    cycle.wide().counters = input.previous->wide().counters;
    return {};
  }
  auto counters = SharedCounters::make();
  if (!counters) return fail(counters.error());
  cycle.wide().counters = std::make_shared<SharedCounters>(std::move(*counters));
  return {};
}

bool run_preparations(const CycleInput& input, Cycle& cycle) {
  for (const auto& preparation : cycle.wide().preparations) {
    if (refuse(cycle.logger(), preparation(cycle.configuration(), input.purpose == Purpose::test)))
      return false;
  }
  return true;
}

}  // namespace

Cycle::Cycle(const Options& options, const conf::Configuration* previous)
    : configuration_(registry(), {options.prefix_path, options.conf_path, options.directives, previous}) {}

unsigned Cycle::workers() {
  if (!process().master_process) return 1;
  return static_cast<unsigned>(std::max<int>(0, process().worker_processes));
}

std::unique_ptr<Cycle> make_cycle(const CycleInput& input, Listeners& listeners) {
  const bool testing = input.purpose == Purpose::test;
  auto cycle = std::make_unique<Cycle>(
      input.options, input.previous != nullptr ? &input.previous->configuration() : nullptr);
  const Status loaded = cycle->configuration().load();
  report(input, cycle->configuration());
  if (!loaded) return nullptr;
  if (testing && !input.options.quiet) {
    log::to_stderr("the configuration file " + input.options.conf_path + " syntax is ok");
  }
  if (input.purpose == Purpose::signal) return cycle;

  if (refuse(input.logger, check_connections(*cycle))) return nullptr;
  if (testing && refuse(input.logger, write_pid_file(cycle->process().pid_path, getpid(), true)))
    return nullptr;
  if (refuse(input.logger, make_folders(*cycle))) return nullptr;
  if (refuse(input.logger, open_logs(input, *cycle))) return nullptr;

  lua::worker_info().configure_arguments = configure_arguments();
  const log::Logger logger = cycle->logger();
  const ZoneTable* old_zones = input.previous != nullptr ? &input.previous->wide().zones : nullptr;
  if (refuse(logger, cycle->wide().zones.attach(old_zones))) return nullptr;
  if (refuse(logger, share_counters(input, *cycle))) return nullptr;
  if (!run_preparations(input, *cycle)) return nullptr;
  // What goes wrong in a script is an error of that script, here too.
  if (!testing && refuse(logger, lua::start(cycle->configuration(), logger), log::Level::error)) {
    return nullptr;
  }

  const Listeners::Plan plan{cycle->wide().listeners, cycle->workers(), testing};
  if (!listeners.prepare(plan, logger)) return nullptr;
  if (testing) {
    listeners.rollback();
    return cycle;
  }
  if (input.previous != nullptr && refuse(logger, move_pid_file(input, *cycle))) {
    listeners.rollback();
    return nullptr;
  }
  listeners.commit(plan, logger);
  warn_of_limits(*cycle);
  return cycle;
}

void redirect_stderr(Cycle& cycle) {
  const log::ErrorLog& log = cycle.wide().error_log;
  if (log.uses_stderr()) return;
  const int fd = log.first_file();
  if (fd != -1 && dup2(fd, STDERR_FILENO) == -1)
    log::alert(cycle.logger(), log::Errno{errno}, "dup2(STDERR) failed");
}

}  // namespace mp::app
