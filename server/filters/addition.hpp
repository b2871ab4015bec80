// add_before_body, add_after_body: the responses of subrequests in front of and behind a body.
#pragma once

#include "conf/module.hpp"

namespace mp::http {
class Request;
}

namespace mp::filters {

extern const conf::Module kAdditionModule;

// Header filters: the length is unknown to whoever looks at it behind the first one; the second one adds.
void addition_head(http::Request& request);
void addition(http::Request& request);

}  // namespace mp::filters
