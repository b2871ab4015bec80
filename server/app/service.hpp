// Service: what a worker process runs, as the process layer sees it. modules.cpp names the one there is. All
// calls come from the worker's own stack, between two turns of the scheduler, never from a fiber.
#pragma once

#include <memory>
#include <span>

#include "base/log.hpp"
#include "base/result.hpp"
#include "base/shm/counters.hpp"
#include "conf/configuration.hpp"
#include "fiber/scheduler.hpp"
#include "net/listen_spec.hpp"

namespace mp::app {

struct WorkerSetup {
  conf::Configuration& configuration;
  fiber::Scheduler& scheduler;
  log::Logger logger;
  SharedCounters::Slot& counters;  // this worker's own
  unsigned index = 0;              // ngx.worker.id()
  unsigned workers = 1;            // ngx.worker.count()
  bool is_single = false;          // the process is master and worker in one
  bool is_privileged_agent = false;
  // Registered descriptors must leave epoll before they are closed: the master holds the same sockets, so
  // that closing alone would leave them in the set.
  std::span<const net::ListenSocket> sockets;
};

class Service {
 public:
  virtual ~Service() = default;

  // Makes everything the worker needs and begins to accept. A failure ends the worker for good (exit code 2).
  virtual Status start(const WorkerSetup& setup) = 0;

  // Graceful end: takes the listening sockets out of epoll, closes idle connections, lets the rest finish.
  // The caller closes the sockets then. Called once.
  virtual void begin_shutdown() = 0;

  // After begin_shutdown(): whether nothing is left to finish. Asked after every turn of the scheduler.
  virtual bool drained() const = 0;

  // worker_shutdown_timeout has passed: ends what still runs.
  virtual void abort() = 0;

  // The last call before the worker ends, whether gracefully or not.
  virtual void finish() = 0;
};

// The service of this server; made in each worker.
std::unique_ptr<Service> make_service();

}  // namespace mp::app
