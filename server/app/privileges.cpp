#include "app/privileges.hpp"

#include <cerrno>

#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/environment.hpp"

namespace mp::app {
namespace {

void set_limit(int resource, std::string_view name, std::int64_t value, const log::Logger& logger) {
  if (value == -1) return;
  const rlimit limit{static_cast<rlim_t>(value), static_cast<rlim_t>(value)};
  if (setrlimit(static_cast<__rlimit_resource>(resource), &limit) == -1) {
    log::alert(logger, log::Errno{errno}, "setrlimit({}, {}) failed", name, value);
  }
}

bool change_user(const conf::ProcessConf& process, const log::Logger& logger) {
  if (geteuid() != 0) return true;
  if (setgid(process.group) == -1) {
    log::emerg(logger, log::Errno{errno}, "setgid({}) failed", process.group);
    return false;
  }
  if (initgroups(process.username.c_str(), process.group) == -1) {
    log::emerg(logger, log::Errno{errno}, "initgroups({}, {}) failed", process.username, process.group);
  }
  if (setuid(process.user) == -1) {
    log::emerg(logger, log::Errno{errno}, "setuid({}) failed", process.user);
    return false;
  }
  return true;
}

}  // namespace

bool cpus_for(const conf::ProcessConf& process, unsigned index, cpu_set_t& out) {
  const auto& masks = process.affinity;
  if (masks.empty()) return false;
  if (!process.affinity_auto) {
    out = masks[index < masks.size() ? index : masks.size() - 1];
    return true;
  }
  const cpu_set_t& allowed = masks.back();
  const unsigned count = static_cast<unsigned>(CPU_COUNT(&allowed));
  if (count == 0) return false;
  unsigned skip = index % count;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || skip-- != 0) continue;
    CPU_ZERO(&out);
    CPU_SET(cpu, &out);
    return true;
  }
  return false;
}

void take_environment(Cycle& cycle) {
  install_environment(select_environment(cycle.process().env, environ));
}

bool become_worker(Cycle& cycle, unsigned index, bool keep_privileges) {
  const conf::ProcessConf& process = cycle.process();
  const log::Logger logger = cycle.logger();
  take_environment(cycle);
  if (process.priority != 0 && setpriority(PRIO_PROCESS, 0, process.priority) == -1) {
    log::alert(logger, log::Errno{errno}, "setpriority({}) failed", process.priority.get());
  }
  set_limit(RLIMIT_NOFILE, "RLIMIT_NOFILE", process.rlimit_nofile, logger);
  set_limit(RLIMIT_CORE, "RLIMIT_CORE", process.rlimit_core, logger);
  if (!keep_privileges && !change_user(process, logger)) return false;
  cpu_set_t cpus;
  if (!keep_privileges && cpus_for(process, index, cpus) && sched_setaffinity(0, sizeof cpus, &cpus) == -1) {
    log::alert(logger, log::Errno{errno}, "sched_setaffinity() failed");
  }
  // A process that changed its user leaves no core file unless it says so.
  if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == -1)
    log::alert(logger, log::Errno{errno}, "prctl(PR_SET_DUMPABLE) failed");
  if (process.working_directory.is_set()) {
    const std::string path(process.working_directory.get());
    if (chdir(path.c_str()) == -1) {
      log::alert(logger, log::Errno{errno}, "chdir(\"{}\") failed", path);
      return false;
    }
  }
  return true;
}

}  // namespace mp::app
