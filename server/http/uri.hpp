// Request URIs: the canonical path a location is matched against, the query, the extension.
// RFC 3986 sections 5.2.4 and 6.2.2 with nginx's rules: the path is percent-decoded once, dot segments
// are resolved, slashes merged on request, a fragment is cut off. Anything that would climb above the
// root, a NUL, a control character or a broken %XX refuses the request.
// Results are views into the given text where that is possible, else into the arena.
#pragma once

#include <optional>
#include <string_view>

#include "base/arena.hpp"

namespace mp::http {

struct RequestUri {
  std::string_view raw;        // as it was given ($request_uri)
  std::string_view path;       // canonical, decoded ($uri); starts with '/'
  std::string_view args;       // after the first '?', still escaped ($args)
  std::string_view extension;  // of the last path segment, without the dot; for `types`
  bool quoted = false;         // %XX was decoded in the path
  bool plus = false;           // the path has a '+'
  bool raw_valid = true;       // `raw` may be sent on as a request target: it has a path
};

// `raw` is the request target in origin form, or what follows the authority in absolute form: it
// starts with '/' or '?' (an empty path).
std::optional<RequestUri> parse_request_uri(Arena& arena, std::string_view raw, bool merge_slashes);

// What most are: a URI that is canonical as it stands. Sets path, args, extension and plus, views into `raw`.
// False: it must be rewritten or refused, as parse_request_uri() does.
bool take_canonical_uri(std::string_view raw, RequestUri& uri);

// The extension of a canonical path that was set by other means (rewrite, internal redirect).
std::string_view uri_extension(std::string_view path);

// A URI that a trusted but careless source gave (X-Accel-Redirect, an SSI include, a subrequest): %XX
// is decoded in the path. Nothing when it is empty, has a NUL, or a ".." segment, escaped or not.
struct InternalUri {
  std::string_view path;
  std::string_view args;
};
std::optional<InternalUri> parse_internal_uri(Arena& arena, std::string_view text);

// Cuts at the first '?', decoding and checking nothing.
InternalUri split_args(std::string_view text);

// The raw value of an argument, its name compared without case ($arg_NAME).
std::optional<std::string_view> find_arg(std::string_view args, std::string_view name);

// The first byte that must not stand in a URI set by hand (controls but the tab), if any.
std::optional<unsigned char> find_unsafe_uri_byte(std::string_view text);

}  // namespace mp::http
