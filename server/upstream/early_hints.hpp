// early_hints: whether 103 responses of upstream servers go on to the client.
#pragma once

#include "conf/module.hpp"
#include "http/headers.hpp"
#include "http/request.hpp"
#include "upstream/name_set.hpp"

namespace mp::upstream {

// Sends `fields` ahead of the response, without those that do not go to clients. False: the client has gone.
bool send_early_hints(http::Request& request, const http::Headers& fields, const NameSet& hidden);

extern const conf::Module kEarlyHintsModule;

}  // namespace mp::upstream
