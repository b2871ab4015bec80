// The rewrite module: rewrite, if, set, return, break, and the handlers that run what they compile to.
#pragma once

#include "conf/module.hpp"
#include "http/step.hpp"

namespace mp::phases {

extern const conf::Module kRewriteModule;

http::Step run_server_script(http::Request& request);
http::Step run_location_script(http::Request& request);
// Where there is one.
bool wants_server_script(const conf::Sets& sets);
bool wants_location_script(const conf::Sets& sets);

}  // namespace mp::phases
