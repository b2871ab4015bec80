// gunzip: compressed bodies are unpacked for clients that do not take gzip.
#pragma once

#include "conf/module.hpp"

namespace mp::http {
class Request;
}

namespace mp::filters {

extern const conf::Module kGunzipModule;

// Header filter.
void gunzip(http::Request& request);

}  // namespace mp::filters
