// Subrequests: a request of the server to itself, run through the phases from server-rewrite, without the
// network. Synchronous for the fiber that asks; run several in parallel with fiber::Group.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "fiber/fiber.hpp"
#include "http/request.hpp"

namespace mp::http {

struct SubrequestOptions {
  Method method = Method::get;
  std::string_view args;
  bool has_body = false;  // send `body` instead of none
  std::string_view body;
  bool forward_body = false;  // the parent's body is the child's
  bool share_variables = false;
  bool copy_variables = false;
  bool clone =
      false;  // the same request again: method, location and handler of the parent, from the content phase
  // Called on the new request before it runs (variables, contexts, method text).
  std::function<void(Request&)> prepare;
};

// What a captured subrequest answered. Owns everything it refers to.
struct Captured {
  int status = 0;
  Headers headers;         // of the subrequest's response, in the parent's arena
  std::string_view body;   // likewise
  bool truncated = false;  // the body broke off half way
  explicit Captured(Arena& arena) : headers(arena) {}
};

// Runs `uri` (a location may be internal) and captures head and body in memory. Parks.
Captured capture(Request& parent, std::string_view uri, const SubrequestOptions& options);

// Runs `uri` with its body going into the parent's body at this point; the head is dropped.
// Returns its status. Parks.
int include(Request& parent, std::string_view uri, const SubrequestOptions& options);

// As include(), on a fiber of its own beside that of the parent, which must have said so by expect_includes()
// (http/ordered_body.hpp) and sent its head. Everything the options refer to lives until `group` has ended.
// False when subrequests nest too deep.
bool include_beside(fiber::Group& group, Request& parent, std::string_view uri,
                    const SubrequestOptions& options);
// Runs `uri` with its response going to `sink`, whatever that makes of it. Returns its status. Parks.
int run_subrequest(Request& parent, std::string_view uri, const SubrequestOptions& options, Sink& sink);

// Runs `uri` for its effect or its status alone; the body is dropped. For auth_request and mirror.
// `inspect` sees the finished subrequest before it ends.
int probe(Request& parent, std::string_view uri, const SubrequestOptions& options,
          const std::function<void(Request&)>& inspect);

// How deep subrequests may nest; deeper ones fail with "subrequests cycle while processing".
inline constexpr int kMaxSubrequestDepth = 51;

// True, after that log line, when one of `parent` would be such a one.
bool too_deep(Request& parent, std::string_view uri);

}  // namespace mp::http
