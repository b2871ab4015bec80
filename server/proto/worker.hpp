// Worker: what the protocols of one worker process share: the configuration in force, the open connections,
// the counters, and whether the worker is on its way out. Made after the fork; outlives its connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/shm/counters.hpp"
#include "conf/configuration.hpp"
#include "fiber/scheduler.hpp"
#include "http/server_select.hpp"
#include "net/listen_spec.hpp"

namespace mp::proto {

// What every protocol's connection is to the worker: an entry in its list, with a timer.
class WorkerConnection : protected fiber::Timer {
 public:
  virtual void close_if_idle() = 0;
  virtual void cancel() = 0;  // ends it now, whatever it does

 protected:
  ~WorkerConnection() = default;

 private:
  friend class Worker;
  WorkerConnection* previous_ = nullptr;
  WorkerConnection* next_ = nullptr;
};

class Acceptor;
class H1Connection;
class Outbox;

// HTTP/1 connections that have become ready and wait for their turns, first in, first out. None of them ends
// before its turn.
struct Turns {
  std::vector<H1Connection*> waiting;
  std::size_t next = 0;        // who comes next
  std::size_t read_ahead = 0;  // those before this one have been read from, or will read themselves
};

class Worker {
 public:
  // `sockets`: what this worker listens on; the descriptors stay the master's. `counters`: this worker's own.
  Worker(conf::Configuration& configuration, std::span<const net::ListenSocket> sockets,
         SharedCounters::Slot& counters);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  Status start_accepting();
  // Stops accepting, closes idle connections, and lets the others finish their request.
  void shut_down_gracefully();
  bool shutting_down() const { return shutting_down_; }
  // The shutdown deadline has passed: ends every request that still runs.
  void cancel_all();
  bool idle() const { return connections_ == 0; }

  conf::Configuration& configuration() { return configuration_; }
  void enter(WorkerConnection& connection);
  void leave(WorkerConnection& connection);
  std::uint64_t next_connection_number() { return ++last_number_; }
  std::size_t connections() const { return connections_; }
  std::size_t connection_limit() const { return limit_; }
  int accepts_at_once() const { return accepts_at_once_; }  // of one socket that is ready
  SharedCounters::Slot& counters() { return counters_; }
  Turns& turns() { return turns_; }
  Outbox& outbox() { return *outbox_; }
  // Memory to read into, for those who pass on what was read before anybody else runs.
  std::span<char> scratch(std::size_t size);

 private:
  conf::Configuration& configuration_;
  std::vector<net::ListenSocket> sockets_;
  SharedCounters::Slot& counters_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  WorkerConnection* list_ = nullptr;
  std::size_t connections_ = 0;
  std::size_t limit_;
  int accepts_at_once_ = 1;
  std::uint64_t last_number_ = 0;
  bool shutting_down_ = false;
  Turns turns_;
  std::unique_ptr<Outbox> outbox_;
  std::unique_ptr<char[]> scratch_;
  std::size_t scratch_size_ = 0;
};

}  // namespace mp::proto
