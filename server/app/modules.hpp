// The modules this server is made of, in the order that decides who is asked first.
#pragma once

#include <span>

#include "conf/module.hpp"

namespace mp::app {

extern const conf::Module kProcessModule;  // process_directives.cpp

// The explicit list; modules.cpp is the one place that knows them all.
std::span<const conf::Module* const> modules();

}  // namespace mp::app
