// The echo family: content handlers that are little programs of the configuration (echo, echo_sleep,
// echo_location, ...), run from top to bottom. The folder echo/ holds them.
#pragma once

#include "conf/module.hpp"

namespace mp::phases {

extern const conf::Module kEchoModule;

}  // namespace mp::phases
