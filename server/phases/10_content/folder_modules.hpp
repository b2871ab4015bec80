// What stands for a folder beside `index`: a list of it (autoindex), or any of its files (random_index).
#pragma once

#include <functional>
#include <string_view>

#include "conf/module.hpp"
#include "http/step.hpp"

struct stat;

namespace mp::phases {

extern const conf::Module kAutoindexModule;
extern const conf::Module kRandomIndexModule;

http::Step pick_random_file(http::Request& request);
http::Step list_folder(http::Request& request);

// Calls `each` for every entry of the folder `path` (no slash at its end) that is not hidden. 0, or the
// status to finish with; what failed is logged.
int read_folder(http::Request& request, std::string_view path,
                const std::function<void(std::string_view name, const struct stat& facts)>& each);

// The path of the folder that the request's URI names, without the slash at its end.
std::string_view folder_path(http::Request& request);

}  // namespace mp::phases
