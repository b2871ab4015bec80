// What -V tells scripts about the modules that are built in, in the peer's words.
#pragma once

#include <string>

namespace mp::app {

// " --with-http_ssl_module ... --without-http_ssi_module ...": read off the directives there are, so that it
// is true.
std::string configure_arguments();

}  // namespace mp::app
