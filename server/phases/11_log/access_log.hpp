// access_log, log_format, open_log_file_cache.
#pragma once

#include "conf/module.hpp"

namespace mp::http {
class Request;
}

namespace mp::phases {

extern const conf::Module kLogModule;

// The log handler: writes the request's line to every access log of its location.
void write_access_log(http::Request& request);

}  // namespace mp::phases
