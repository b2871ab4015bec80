// The set_* directives of the set-misc family: instructions of the rewrite script like `set`, with a function
// between the arguments and the variable.
#pragma once

#include "conf/module.hpp"

namespace mp::phases {

extern const conf::Module kSetMiscModule;

}  // namespace mp::phases
