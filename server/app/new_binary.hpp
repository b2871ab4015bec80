// The change of the running binary: the successor starts with our arguments and our listening sockets, named
// by number in the variable NGINX of its environment.
#pragma once

#include <sys/types.h>

#include "app/cycle.hpp"
#include "app/listeners.hpp"

namespace mp::app {

inline constexpr const char* kSocketsVariable = "NGINX";

// Moves the pid file aside and starts the new binary as a child. -1 when it failed, with the reasons logged.
pid_t start_new_binary(Cycle& cycle, const Listeners& listeners);

// Replaces this very process by a fresh one with the same sockets: how the process that is master and worker
// in one reads its configuration again. Returns only when it failed, with the reason logged.
void restart_in_place(Cycle& cycle, const Listeners& listeners);

}  // namespace mp::app
