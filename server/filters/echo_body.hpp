// echo_before_body and echo_after_body: text around the body of any response.
#pragma once

#include "conf/module.hpp"

namespace mp::http {
class Request;
}

namespace mp::filters {

extern const conf::Module kEchoBodyModule;

void echo_body(http::Request& request);

}  // namespace mp::filters
