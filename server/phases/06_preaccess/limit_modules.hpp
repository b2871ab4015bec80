// limit_req and limit_conn: how often and how many at a time. The counting is in http/limit.
#pragma once

#include <string_view>

#include "conf/context.hpp"
#include "http/step.hpp"

namespace mp::phases {

extern const conf::Module kLimitReqModule;
extern const conf::Module kLimitConnModule;

http::Step limit_connections(http::Request& request);
http::Step limit_requests(http::Request& request);

// "zone=NAME:SIZE", for both.
struct ZoneArgument {
  std::string_view name;
  std::size_t size;
};
Result<ZoneArgument> read_zone_argument(conf::Context& ctx, const conf::Arg& arg);

}  // namespace mp::phases
