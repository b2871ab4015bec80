// Static content: files, index, and what a folder answers without an index.
#pragma once

#include "conf/module.hpp"
#include "http/open_file.hpp"
#include "http/step.hpp"

namespace mp::phases {

extern const conf::Module kStaticModule;  // open_file_cache, disable_symlinks
extern const conf::Module kIndexModule;

http::Step serve_index(http::Request& request);
http::Step serve_file(http::Request& request);

// The same for ".gz" beside the file: gzip_static.
http::Step serve_gzip_static(http::Request& request);

// Sends a regular file that was opened for the URI of this request.
http::Step send_opened_file(http::Request& request, const http::FileRef& file);

extern const conf::Module kGzipStaticModule;

}  // namespace mp::phases
