// WorkerInfo: what ngx.worker tells of the process. Filled by the process layer before any script runs.
#pragma once

namespace mp::lua {

struct WorkerInfo {
  int id = -1;  // -1 outside of workers
  int count = 1;
  bool exiting = false;
  int (*pids)(int* out, int max) = nullptr;
};

WorkerInfo& worker_info();

}  // namespace mp::lua
