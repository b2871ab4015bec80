// memcached_pass: values of memcached as responses. memc_pass: all commands of memcached as requests.
#pragma once

#include "conf/module.hpp"

namespace mp::upstream {

extern const conf::Module kMemcachedModule;
extern const conf::Module kMemcModule;

}  // namespace mp::upstream
