// The Lua module as the process layer sees it.
#pragma once

#include "base/log.hpp"
#include "base/result.hpp"
#include "conf/configuration.hpp"
#include "conf/module.hpp"

namespace mp::lua {

extern const conf::Module kLuaModule;
extern const conf::Module kLuaRuntimeModule;

// In the master, once a configuration was loaded and its shared memory is mapped (not for -t): makes the Vm
// when the configuration has Lua code, and runs init_by_lua. The error is ready for the log.
Status start(conf::Configuration& configuration, const log::Logger& logger);

// In a worker, on a fiber, before it accepts: runs init_worker_by_lua. Parks when the script does.
void start_worker(conf::Configuration& configuration);

// In a worker that is to end: pending timers run at once, and no connection is kept any more.
void begin_shutdown(conf::Configuration& configuration);
// No timer is pending or running.
bool drained(conf::Configuration& configuration);
// Cancels what timers still run.
void abort_timers(conf::Configuration& configuration);
// When the worker has ended: timers and connections go, while there still is a scheduler.
void release_worker_state(conf::Configuration& configuration);

// In a worker, on a fiber, after it has served its last request: runs exit_worker_by_lua.
void stop_worker(conf::Configuration& configuration);

}  // namespace mp::lua
