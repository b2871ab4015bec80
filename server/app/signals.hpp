// Signals: how a process learns of signals. The handler only notes the signal and makes a descriptor
// readable; the process's loop (poll in the master, epoll in a worker) takes the notes and acts. Handlers,
// not a signalfd: a blocked mask would be inherited by every program that Lua code starts.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <sys/types.h>

#include "base/result.hpp"

namespace mp::app {

enum class Role : std::uint8_t { master, single, worker };

enum class Action : std::uint8_t {
  none,
  terminate,      // stop at once
  quit,           // finish what is being served
  reconfigure,    // read the configuration again
  reopen,         // open the log files again
  change_binary,  // start a new binary with our sockets
  no_accept,      // stop the workers, keep the master
  reap,           // a child ended
};

struct Verdict {
  Action action = Action::none;
  std::string_view text;  // completes "signal N (NAME) received from PID"
};

struct SignalState {
  bool daemonized = false;
  bool upgrading = false;  // a new binary runs, or this is one whose parent still runs
};

// What a process of this role does on a signal.
Verdict decide(Role role, int signo, SignalState state);

// "SIGHUP"
std::string_view signal_name(int signo);

// The signal that `-s NAME` sends; 0 for none.
int signal_for_command(std::string_view command);

// One per process, made where the process begins. The handlers write to process-wide storage, since that is
// all a signal handler can reach.
class Signals {
 public:
  // Installs the handlers of the role. After a fork the child makes its own, which leaves the parent's
  // untouched.
  static Status install(Role role);

  static int fd();  // readable when a signal was noted
  struct Note {
    int signo;
    pid_t sender;  // 0 when the kernel sent it
  };
  static std::optional<Note> next();
};

}  // namespace mp::app
