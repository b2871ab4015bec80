// sub_filter: texts in the body are replaced by others.
#pragma once

#include "conf/module.hpp"

namespace mp::http {
class Request;
}

namespace mp::filters {

extern const conf::Module kSubModule;

// Header filter.
void sub(http::Request& request);

}  // namespace mp::filters
