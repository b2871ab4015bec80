// The http core as a module: its directives and variables.
#pragma once

#include "conf/module.hpp"

namespace mp::http {

extern const conf::Module kCoreModule;

}  // namespace mp::http
