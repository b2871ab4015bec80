// Settings and worker-wide state of the API beside the hooks: timers, sockets, regexes. The state is made on
// first use in a worker, and released when it ends.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "conf/configuration.hpp"
#include "conf/context.hpp"
#include "conf/module.hpp"
#include "conf/setting.hpp"
#include "conf/values.hpp"

namespace mp::lua {

class LogCapture;
class PipeProcesses;
class Timers;
class SocketPools;
class WorkerThreads;

struct RuntimeMain {
  static constexpr conf::Level kLevel = conf::Level::main;
  conf::Setting<int> max_pending_timers = 1024;
  conf::Setting<int> max_running_timers = 256;
  conf::Setting<int> regex_cache_max_entries = 1024;
  conf::Setting<int> regex_match_limit = 0;
  conf::Setting<int> worker_thread_vm_pool_size = 10;

  std::shared_ptr<Timers> timers;
  std::shared_ptr<SocketPools> pools;
  std::shared_ptr<WorkerThreads> worker_threads;
  std::shared_ptr<PipeProcesses> pipe_processes;
  std::shared_ptr<LogCapture> capture;  // lua_capture_error_log; made with the configuration
};

struct SocketConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  conf::Setting<conf::Msec> connect_timeout;    // 60s
  conf::Setting<conf::Msec> send_timeout;       // 60s
  conf::Setting<conf::Msec> read_timeout;       // 60s
  conf::Setting<conf::Msec> keepalive_timeout;  // 60s
  conf::Setting<conf::Size> send_lowat;
  conf::Setting<conf::Size> buffer_size;  // 4k
  conf::Setting<int> pool_size;           // 30
  conf::Setting<bool> log_errors;         // on
  Status merge(conf::Context& ctx, const SocketConf& parent);
};

// The part of `configuration`; null when it has no http {}.
RuntimeMain* runtime_main(conf::Configuration& configuration);

extern const conf::Module kLuaRuntimeModule;

}  // namespace mp::lua
