// redis2_pass: queries to Redis; the response is what Redis replies, as it is.
#pragma once

#include "conf/module.hpp"

namespace mp::upstream {

extern const conf::Module kRedis2Module;

}  // namespace mp::upstream
