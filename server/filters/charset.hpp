// charset: names the character set of responses, and converts bodies between sets that a charset_map
// connects.
#pragma once

#include "conf/module.hpp"

namespace mp::http {
class Request;
}

namespace mp::filters {

extern const conf::Module kCharsetModule;

// Header filter.
void charset(http::Request& request);

}  // namespace mp::filters
