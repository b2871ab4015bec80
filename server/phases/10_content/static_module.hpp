// Static content: files, index, and what a folder answers without an index.
#pragma once

#include "conf/module.hpp"
#include "http/step.hpp"

namespace mp::phases {

extern const conf::Module kStaticModule;  // open_file_cache, disable_symlinks
extern const conf::Module kIndexModule;

http::Step serve_index(http::Request& request);
http::Step serve_file(http::Request& request);

}  // namespace mp::phases
