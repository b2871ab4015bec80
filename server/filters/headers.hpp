// add_header, add_trailer, expires.
#pragma once

#include "conf/module.hpp"

namespace mp::http {
class Request;
}

namespace mp::filters {

extern const conf::Module kHeadersModule;

void headers(http::Request& request);
void trailers(http::Request& request);  // after the ranges have been chosen

}  // namespace mp::filters
