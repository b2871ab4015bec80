// userid: a cookie that names the user.
#pragma once

#include "conf/module.hpp"

namespace mp::http {
class Request;
}

namespace mp::filters {

extern const conf::Module kUseridModule;

// Header filter: gives a name to a client that has none.
void userid(http::Request& request);

}  // namespace mp::filters
