// The balancing methods that directives inside upstream {} select. Parse functions for the upstream module's
// table.
#pragma once

#include "conf/context.hpp"

namespace mp::upstream {

Status parse_least_conn(conf::Context& ctx, const conf::Node& node);
Status parse_ip_hash(conf::Context& ctx, const conf::Node& node);
Status parse_hash(conf::Context& ctx, const conf::Node& node);
Status parse_random(conf::Context& ctx, const conf::Node& node);
Status parse_least_time(conf::Context& ctx, const conf::Node& node);

}  // namespace mp::upstream
