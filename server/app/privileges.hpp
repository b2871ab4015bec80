// What a worker becomes before it serves: its environment, priority, limits, user and CPUs.
#pragma once

#include "app/cycle.hpp"

namespace mp::app {

// Failures are logged; false when the worker must not run (it could not give up its privileges, as all but
// the privileged agent must).
bool become_worker(Cycle& cycle, unsigned index, bool keep_privileges);

// The environment only: for the process that is master and worker in one.
void take_environment(Cycle& cycle);

// The CPUs of worker `index` by worker_cpu_affinity; false when it has none.
bool cpus_for(const conf::ProcessConf& process, unsigned index, cpu_set_t& out);

}  // namespace mp::app
