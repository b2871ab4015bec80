// more_set_headers and more_clear_headers: any field of any response, the server's own included.
#pragma once

#include "conf/module.hpp"

namespace mp::http {
class Request;
}

namespace mp::filters {

extern const conf::Module kMoreHeadersModule;

void more_headers(http::Request& request);

}  // namespace mp::filters
