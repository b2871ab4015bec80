// WorkerInfo: what ngx.worker tells of the process. Filled by the process layer before any script runs.
#pragma once

#include <cstdint>
#include <string>

#include <sys/types.h>

namespace mp {
class SharedCounters;
}

namespace mp::lua {

struct WorkerInfo {
  // The numbers are the peer's process types.
  enum class Kind : std::uint8_t { single = 0, master = 1, worker = 3, privileged_agent = 99 };

  Kind kind = Kind::single;
  int id = -1;  // -1 outside of workers
  int count = 1;
  bool exiting = false;
  std::string configure_arguments;           // what is built in, in the words of the peer's configure script
  pid_t master = 0;                          // 0: this process
  const SharedCounters* counters = nullptr;  // whose slots name the workers' processes
};

WorkerInfo& worker_info();

}  // namespace mp::lua
