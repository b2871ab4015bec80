// The pid file of the master: written once the sockets are bound, moved aside during a binary upgrade,
// removed at exit.
#pragma once

#include <string>

#include <sys/types.h>

#include "base/result.hpp"

namespace mp::app {

// Writes the process id; with `testing` only makes sure that the file could be written.
Status write_pid_file(const std::string& path, pid_t pid, bool testing);

// The process id in the file. Errors are ready for the log.
Result<pid_t> read_pid_file(const std::string& path);

}  // namespace mp::app
