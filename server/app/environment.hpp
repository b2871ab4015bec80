// The environment of workers and of a new binary: what the env directives keep and set, and TZ.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conf/values.hpp"

namespace mp::app {

// "NAME=VALUE" strings. `original` is the environment the master was started with.
std::vector<std::string> select_environment(const conf::StringList& env, char** original);

// Makes these the environment of this process, which keeps the strings for good.
void install_environment(std::vector<std::string> variables);

}  // namespace mp::app
