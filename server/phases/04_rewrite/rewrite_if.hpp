// `if (condition) { ... }`.
#pragma once

#include "conf/context.hpp"

namespace mp::phases {

Status parse_if(conf::Context& ctx, const conf::Node& node);

}  // namespace mp::phases
