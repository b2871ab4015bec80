// WebDAV's methods on files: PUT, DELETE, MKCOL, COPY, MOVE.
#pragma once

#include "conf/module.hpp"
#include "http/step.hpp"

namespace mp::phases {

extern const conf::Module kDavModule;

http::Step serve_dav(http::Request& request);

}  // namespace mp::phases
