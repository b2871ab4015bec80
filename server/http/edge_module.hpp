// What is done for a request before its first phase and after its response: client_body_early_read and
// post_action.
#pragma once

#include "conf/module.hpp"
#include "http/step.hpp"

namespace mp::http {

class Request;

extern const conf::Module kEdgeModule;

// A handler of the post-read phase: reads the body before anything else looks at the request, where the
// server's configuration wants that.
Step read_early_body(Request& request);

// Runs the request once more, where the location that served it says so, with what that answers dropped. The
// client has its response by then. Parks; never throws.
void run_post_action(Request& request);

}  // namespace mp::http
