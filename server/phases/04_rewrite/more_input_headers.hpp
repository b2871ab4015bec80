// more_set_input_headers and more_clear_input_headers: the fields that handlers and upstreams get to see.
#pragma once

#include "conf/module.hpp"
#include "http/step.hpp"

namespace mp::phases {

extern const conf::Module kMoreInputHeadersModule;

http::Step change_input_headers(http::Request& request);

}  // namespace mp::phases
