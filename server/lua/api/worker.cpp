// ngx.worker
#include <unistd.h>

#include "lua/api.hpp"
#include "lua/worker_info.hpp"

namespace mp::lua {

WorkerInfo& worker_info() {
  static WorkerInfo info;
  return info;
}

extern const Group kWorkerGroup = {"worker", {}};

}  // namespace mp::lua

extern "C" {

int mp_worker_pid() {
  return static_cast<int>(getpid());
}
int mp_worker_id() {
  return mp::lua::worker_info().id;
}
int mp_worker_count() {
  return mp::lua::worker_info().count;
}
int mp_worker_exiting() {
  return mp::lua::worker_info().exiting ? 1 : 0;
}

// The process ids of the workers, at most `max` of them.
int mp_worker_pids(int* out, int max) {
  const auto& info = mp::lua::worker_info();
  if (info.pids == nullptr) return 0;
  return info.pids(out, max);
}
}
