// FastCGI, SCGI, uwsgi, and tunnels: upstream servers that do not speak HTTP, or not to this one.
#pragma once

#include "conf/module.hpp"

namespace mp::upstream {

extern const conf::Module kFastcgiModule;
extern const conf::Module kScgiModule;
extern const conf::Module kUwsgiModule;
extern const conf::Module kTunnelModule;

}  // namespace mp::upstream
