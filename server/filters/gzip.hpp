// gzip: compresses responses on their way out (RFC 1952).
#pragma once

#include "conf/module.hpp"

namespace mp::http {
class Request;
}

namespace mp::filters {

extern const conf::Module kGzipModule;

void gzip(http::Request& request);

}  // namespace mp::filters
