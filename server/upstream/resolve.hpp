// `server NAME resolve`: names asked for again and again while the server runs. One worker asks for each
// name; the peers lie in the upstream's zone, where all workers see them come and go.
#pragma once

#include "base/log.hpp"
#include "conf/configuration.hpp"

namespace mp::upstream {

struct PeerGroup;
struct ServerLine;

// Begins to ask for the names that are this worker's to ask for. On the worker's scheduler.
void start_resolving(const conf::Configuration& configuration, unsigned worker, unsigned workers);
// No further questions: the worker is about to end.
void stop_resolving(const conf::Configuration& configuration);

// Copies the peers that `old_line` stood for into a new group, as peers of `line`.
void copy_resolved(PeerGroup& group, const ServerLine& line, PeerGroup& old_group,
                   const ServerLine& old_line);

}  // namespace mp::upstream
