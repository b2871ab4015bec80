// The variable that `set` and its like assign to.
#pragma once

#include <string_view>

#include "conf/context.hpp"
#include "http/variables.hpp"

namespace mp::phases {

// The variable that `arg` ("$name") introduces. Until something is assigned to it in a request it is empty,
// with a warning.
Result<const http::Variable*> set_target(conf::Context& ctx, const conf::Arg& arg);

void assign(http::Request& request, const http::Variable& variable, std::string_view value);

}  // namespace mp::phases
