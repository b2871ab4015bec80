// Static content: files, index, and what a folder answers without an index.
#pragma once

#include <cstdint>
#include <string_view>

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

// For responses that are made of parts of a file: the head, with the file's time, tag and type, and `length`
// bytes to follow. False when none are wanted, and the response is complete.
bool send_file_head(http::Request& request, const http::FileRef& file, std::int64_t length);

// The answer for a file that could not be opened; says so in the log.
http::Step refuse_file(http::Request& request, const http::OpenedFile& file, std::string_view path);

extern const conf::Module kGzipStaticModule;

}  // namespace mp::phases
