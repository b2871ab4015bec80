// set_by_lua $variable code arguments...: the directive and its forms _block and _file.
#pragma once

#include "conf/context.hpp"

namespace mp::lua {

Status set_by_lua(conf::Context& ctx, const conf::Node& node);

}  // namespace mp::lua
