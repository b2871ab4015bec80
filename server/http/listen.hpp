// `listen` and `server_name`: which sockets the servers want, and which server answers for a name on each.
#pragma once

#include "conf/context.hpp"
#include "http/location.hpp"

namespace mp::http {

// *:80 as root, *:8000 otherwise: what a server without `listen` gets.
Status listen_by_default(conf::Context& ctx, Server& server);

// After all servers were read: the names of each address, and the sockets for the master.
Status finish_listening(conf::Context& ctx);

}  // namespace mp::http
