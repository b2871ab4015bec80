// try_files and mirror: last decisions before the content.
#pragma once

#include "conf/module.hpp"
#include "http/step.hpp"

namespace mp::phases {

extern const conf::Module kTryFilesModule;
extern const conf::Module kMirrorModule;

http::Step mirror_request(http::Request& request);
http::Step fetch_from_srcache(http::Request& request);  // directives: filters/srcache.hpp
http::Step try_files(http::Request& request);

// In the log phase, before anything else: a request lasts as long as its mirrored copies.
void wait_for_mirrors(http::Request& request);

}  // namespace mp::phases
