// The peers of an upstream in shared memory: all workers count the same failures and connections, and see the
// same addresses when names are resolved while running.
#pragma once

#include "base/result.hpp"
#include "conf/context.hpp"
#include "net/address.hpp"
#include "upstream/peer.hpp"

namespace mp::upstream {

struct Upstream;
struct ServerLine;

// `zone NAME [SIZE]` inside upstream {}.
Status parse_zone(conf::Context& ctx, const conf::Node& node);

// Moves the peers of `upstream` into its zone, as soon as that has its memory.
Status place_in_zone(conf::Context& ctx, Upstream& upstream);

// What a `server` line says, at one address.
void init_peer(Peer& peer, const ServerLine& line, const net::Address& address);

}  // namespace mp::upstream
