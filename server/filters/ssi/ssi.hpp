// Server side includes: commands in HTML comments that include other URIs, show variables, and choose text.
#pragma once

#include "conf/module.hpp"

namespace mp::http {
class Request;
}

namespace mp::filters {

extern const conf::Module kSsiModule;

// Header filter.
void ssi_page(http::Request& request);

}  // namespace mp::filters
