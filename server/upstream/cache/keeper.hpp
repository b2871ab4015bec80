// The keeper of the caches: reads what earlier runs have left in their folders, and removes what is too old
// or too much. One worker does it, for all; file operations run on a thread of their own.
#pragma once

#include "conf/configuration.hpp"

namespace mp::upstream {

// On the worker's scheduler.
void start_cache_keeper(const conf::Configuration& configuration);
// The worker is about to end.
void stop_cache_keeper(const conf::Configuration& configuration);

}  // namespace mp::upstream
