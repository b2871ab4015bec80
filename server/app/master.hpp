// The master process: supervises the workers, replaces crashed ones, reloads, passes the sockets to a new
// binary. It waits in poll() for signals and for workers to report that they serve; it never polls in vain.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "app/cycle.hpp"
#include "app/listeners.hpp"
#include "app/options.hpp"
#include "app/signals.hpp"

namespace mp::app {

struct MasterStart {
  const Options& options;
  Listeners& listeners;
  std::unique_ptr<Cycle> cycle;
  pid_t parent = 0;  // who started this process; a new binary's is the old master
  bool daemonized = false;
  bool inherited = false;  // this process is a new binary
};

class Master {
 public:
  explicit Master(MasterStart start);
  ~Master();
  Master(const Master&) = delete;
  Master& operator=(const Master&) = delete;

  // Returns the exit code when everything has stopped. In a forked worker it does not return: the worker
  // exits.
  int run();

 private:
  struct Child {
    pid_t pid = -1;
    unsigned index = 0;
    int counter_slot = -1;
    bool is_binary = false;  // the new binary, not a worker
    bool is_privileged_agent = false;
    bool respawn = true;
    bool just_spawned =
        false;  // passed over by the next round of signals: it belongs to the new configuration
    bool exiting = false;
    std::uint64_t started_ms = 0;
    unsigned quick_deaths = 0;     // in a row, each within a second of the start
    std::uint64_t respawn_at = 0;  // a slot without a process that waits for its turn; 0: none
  };

  static std::string_view kind_of(const Child& child);

  void take_signals();
  void act(Action action);
  void wait();
  std::uint64_t next_deadline() const;
  void run_deadlines();

  void spawn_workers(bool just_spawned);
  bool spawn(Child& child);
  [[noreturn]] void become_worker_process(const Child& child);
  void signal_workers(int signo);
  void reap();
  void child_ended(Child& child, int status);
  bool any_alive() const;

  void reload();
  void finish_reload();
  void count_ready();
  void reopen_logs();
  void change_binary();
  void binary_ended();
  int finish();

  log::Logger logger() { return cycle_->logger(); }

  const Options& options_;
  Listeners& listeners_;
  std::unique_ptr<Cycle> cycle_;
  pid_t parent_;
  bool daemonized_;
  bool inherited_;

  std::vector<Child> children_;
  pid_t new_binary_ = 0;
  int ready_fd_ = -1;
  bool terminate_ = false;
  bool quit_ = false;
  bool no_accepting_ = false;

  std::uint64_t kill_at_ = 0;      // after TERM: when to stop asking
  unsigned awaited_ = 0;           // workers of the new configuration that do not serve yet
  std::uint64_t old_quit_at_ = 0;  // when the old workers are told to go in any case; 0: no reload under way
};

}  // namespace mp::app
