// Who may have a resource: by address (allow, deny), by password (auth_basic), by asking a subrequest
// (auth_request).
#pragma once

#include "conf/module.hpp"
#include "http/step.hpp"

namespace mp::phases {

extern const conf::Module kAddressModule;
extern const conf::Module kAuthBasicModule;
extern const conf::Module kAuthRequestModule;

http::Step check_address(http::Request& request);
http::Step check_password_of(http::Request& request);
http::Step check_by_subrequest(http::Request& request);

}  // namespace mp::phases
