// A worker process from its fork to its exit, and the process that is master and worker in one.
#pragma once

#include <functional>
#include <vector>

#include "app/cycle.hpp"
#include "app/signals.hpp"
#include "net/listen_spec.hpp"

namespace mp::app {

inline constexpr int kExitFatal = 2;  // the master does not start such a worker again

struct WorkerStart {
  Cycle& cycle;
  unsigned index = 0;
  unsigned workers = 1;
  int counter_slot = -1;
  std::vector<net::ListenSocket> sockets;
  Role role = Role::worker;
  bool is_privileged_agent = false;  // keeps the master's user and serves nobody
  bool daemonized = false;
  pid_t master = 0;  // its signals are not logged: they are how it passes on its own
  // Role::single: whether the configuration, read again, would be accepted. When not, the server goes on as
  // it is.
  std::function<bool()> may_reconfigure;
  int ready_fd = -1;  // eventfd to add one to when the worker serves; -1: nobody waits
};

enum class WorkerEnd : unsigned char {
  finished,     // told to stop, gracefully or not
  fatal,        // could not start
  reconfigure,  // Role::single only: drained, and the configuration is to be read again
};

// Takes the user, limits and environment of the configuration, serves until told to stop.
WorkerEnd run_worker(const WorkerStart& start);

}  // namespace mp::app
