// From a configuration that is ready to a running server: signals, the background, the pid file, then the
// master or the single process.
#pragma once

#include <memory>

#include "app/cycle.hpp"
#include "app/listeners.hpp"
#include "app/options.hpp"

namespace mp::app {

// The exit code of the process.
int serve(const Options& options, std::unique_ptr<Cycle> cycle, Listeners& listeners, bool inherited);

}  // namespace mp::app
