// Modules that only define variables: map, geo, split_clients.
#pragma once

#include "conf/module.hpp"

namespace mp::http {

extern const conf::Module kMapModule;
extern const conf::Module kGeoModule;
extern const conf::Module kSplitClientsModule;

}  // namespace mp::http
