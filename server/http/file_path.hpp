// Where a URI lies in the file system: root or alias of the location in force.
#pragma once

#include <string_view>

namespace mp::http {

class Request;

// The document root ($document_root): `root` or `alias` with its variables resolved.
std::string_view document_root(Request& request);

// The file for `uri`, zero-terminated behind its end: under `root` appended whole, under `alias` in place of
// the location's prefix.
std::string_view map_to_path(Request& request, std::string_view uri);

// In a request's contexts: the URI was found below the `alias` of a regex location, which otherwise is the
// whole path.
struct UriBelowAlias {};

}  // namespace mp::http
