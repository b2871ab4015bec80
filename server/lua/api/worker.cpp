// ngx.worker
#include <unistd.h>

#include "base/shm/counters.hpp"
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
  const auto* counters = mp::lua::worker_info().counters;
  if (counters == nullptr) return 0;
  int count = 0;
  for (int i = 0; i < mp::SharedCounters::kSlots && count < max; ++i) {
    const auto pid = static_cast<int>(counters->slot(i).pid.get());
    if (pid > 0) out[count++] = pid;
  }
  return count;
}
}
