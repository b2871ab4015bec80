// The rewrite module: rewrite, if, set, return, break, and the handlers that run what they compile to.
#pragma once

#include "conf/module.hpp"
#include "http/step.hpp"

namespace mp::phases {

extern const conf::Module kRewriteModule;

http::Step run_server_script(http::Request& request);
http::Step run_location_script(http::Request& request);

}  // namespace mp::phases
