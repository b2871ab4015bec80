// The process-level settings, and what all modules of one configuration share at that level. The directive
// rows are in app/process_directives.cpp; the structs are here because every layer above may need to read
// them.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <sched.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/log.hpp"
#include "base/open_files.hpp"
#include "base/shm/counters.hpp"
#include "base/shm/zone.hpp"
#include "conf/module.hpp"
#include "conf/node.hpp"
#include "conf/setting.hpp"
#include "conf/values.hpp"
#include "net/listen_spec.hpp"

namespace mp::conf {

class Configuration;

inline constexpr uid_t kNoUser = static_cast<uid_t>(-1);
inline constexpr gid_t kNoGroup = static_cast<gid_t>(-1);

struct ProcessConf {
  static constexpr Level kLevel = Level::process;

  Setting<bool> daemon = true;
  Setting<bool> master_process = true;
  Setting<int> worker_processes = 1;
  Setting<Path> pid;
  Setting<Path> lock_file;
  Setting<Msec> timer_resolution;
  Setting<Msec> shutdown_timeout;  // 0: wait for as long as it takes
  Setting<std::int64_t> rlimit_nofile = -1;
  Setting<Offset> rlimit_core = Offset(-1);
  Setting<int> priority = 0;
  Setting<std::string_view> working_directory;
  Setting<bool> pcre_jit = false;
  enum class DebugPoints : std::uint8_t { off, stop, abort };
  Setting<DebugPoints> debug_points = DebugPoints::off;

  // The user that workers become; kNoUser when the master has no right to change it.
  std::string username;
  uid_t user = kNoUser;
  gid_t group = kNoGroup;

  // A `thread_pool` directive: threads for blocking work of scripts.
  struct ThreadPoolLine {
    std::string_view name;
    unsigned threads = 0;
    std::size_t max_queue = 65536;
  };
  std::vector<ThreadPoolLine> thread_pools;

  StringList env;  // "NAME" keeps a variable, "NAME=VALUE" sets it

  bool affinity_auto = false;
  std::vector<cpu_set_t> affinity;
  const Node* affinity_node = nullptr;

  std::string pid_path;      // absolute
  std::string old_pid_path;  // where the pid file waits during a binary upgrade

  Status finish(Context& ctx);
};

// A network of debug_connection; its clients are logged at every level.
struct DebugConnection {
  int family = AF_UNSPEC;  // AF_INET, AF_INET6 or AF_UNIX
  std::array<std::uint8_t, 16> address{};
  std::array<std::uint8_t, 16> mask{};

  bool matches(const sockaddr* peer) const;
};

struct EventsConf {
  static constexpr Level kLevel = Level::events;

  Setting<int> worker_connections = 512;
  Setting<std::string_view> use;
  Setting<bool> multi_accept = false;
  Setting<bool> accept_mutex = false;
  Setting<Msec> accept_mutex_delay = Msec(500);
  Setting<int> epoll_events = 512;
  Setting<int> worker_aio_requests = 32;
  std::vector<DebugConnection> debug_connections;

  bool debugs(const sockaddr* peer) const {
    for (const DebugConnection& network : debug_connections) {
      if (network.matches(peer)) return true;
    }
    return false;
  }
};

// What modules hand to the process layer while the configuration is read, and share among each other.
struct ProcessWide {
  static constexpr Level kLevel = Level::process;

  std::shared_ptr<SharedCounters> counters;  // of all workers, kept over reloads
  OpenFiles files;                           // error and access logs
  log::ErrorLog error_log;                   // error_log at the main level
  std::vector<net::ListenSpec> listeners;
  ZoneTable zones;
  // Folders of temporary and cached files; made before the workers start and given to their user.
  std::vector<std::string> folders;
  // Beside the workers there is to be a process that keeps the master's rights and serves nobody: scripts
  // asked for it.
  bool privileged_agent = false;

  // Last steps in the master, in order: log files are open and zones are attached; sockets are not bound yet.
  // A failure refuses the configuration. Also run by -t (`testing`).
  using Preparation = std::function<Status(Configuration&, bool testing)>;
  std::vector<Preparation> preparations;

  log::Logger logger() const { return {&error_log}; }
};

}  // namespace mp::conf
