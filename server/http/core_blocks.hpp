// The blocks of the configuration that give it its shape: http {}, server {}, location {}, limit_except {},
// types {}, and `listen` and `server_name`. Parse functions for the core module's table.
#pragma once

#include "conf/context.hpp"
#include "http/location.hpp"

namespace mp::http {

Status parse_http(conf::Context& ctx, const conf::Node& node);
Status parse_server(conf::Context& ctx, const conf::Node& node);
Status parse_location(conf::Context& ctx, const conf::Node& node);
Status parse_limit_except(conf::Context& ctx, const conf::Node& node);
Status parse_types(conf::Context& ctx, const conf::Node& node);
Status parse_listen(conf::Context& ctx, const conf::Node& node);
Status parse_server_name(conf::Context& ctx, const conf::Node& node);

// After everything was merged: arranges the locations of all servers for lookup.
Status build_locations(conf::Context& ctx);

// A location set for a block inside the current location (or server) that is entered by a directive and not
// by its name: `if`, limit_except. Its directives are read in `scope`.
Result<conf::ConfSet*> parse_block_set(conf::Context& ctx, const conf::Node& node, conf::Scope scope);

}  // namespace mp::http
