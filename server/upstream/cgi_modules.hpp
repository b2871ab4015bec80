// FastCGI, SCGI and uwsgi: upstream servers that do not speak HTTP.
#pragma once

#include "conf/module.hpp"

namespace mp::upstream {

extern const conf::Module kFastcgiModule;
extern const conf::Module kScgiModule;
extern const conf::Module kUwsgiModule;

}  // namespace mp::upstream
