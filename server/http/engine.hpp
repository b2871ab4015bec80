// The phase engine: takes a request through the eleven phases, answers it, and logs it.
#pragma once

#include "http/plan.hpp"
#include "http/request.hpp"
#include "http/step.hpp"

namespace mp::http {

void set_phases(const PhaseTable& table);
const PhaseTable& phases();

// Runs a main request from post-read to the end of its response, then the log phase. Never throws.
void serve(Request& request);

// Answers a request whose head was refused, and logs it. Never throws.
[[gnu::cold]] void serve_error(Request& request, int status);

// The log phase alone, for requests that ended before they could be served.
void log_request(Request& request);

// Runs a request from `phase` until it has been answered, without the log phase. For subrequests and internal
// use.
void run(Request& request, Phase phase);

// Answers with an error or special status: error_page of the location, or the stock page. Returns what to do
// next: finish(0) when it was sent, restart for an internal redirect.
Step special_response(Request& request, int status);

}  // namespace mp::http
