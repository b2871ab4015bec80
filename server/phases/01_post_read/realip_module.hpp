// realip: the client's address as trusted proxies report it.
#pragma once

#include "conf/module.hpp"
#include "http/step.hpp"

namespace mp::phases {

extern const conf::Module kRealipModule;

// Runs in post-read, by the server's settings, and again in preaccess, by the location's.
http::Step find_real_address(http::Request& request);

}  // namespace mp::phases
