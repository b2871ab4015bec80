// Where the bodies of included subrequests join the response that includes them: behind the filters that read
// its text (they have read the subrequest's own already), in front of those that work on the whole (gzip).
#pragma once

#include "http/output.hpp"
#include "http/request.hpp"

namespace mp::http {

struct IncludePoint {
  BodyFilter* stage = nullptr;  // the first of those that work on the whole; null: none
};

// For a header filter that adds such a stage.
inline void set_include_point(Request& r, BodyFilter& stage) {
  auto& point = r.ctx<IncludePoint>();
  if (point.stage == nullptr) point.stage = &stage;
}

// A part of a subrequest's body, in its turn.
inline bool write_included(Request& r, const Output& output) {
  if (!r.head_sent && !r.send_head()) return false;
  if (r.aborted || r.header_only) return !r.aborted;
  const IncludePoint* point = r.find_ctx<IncludePoint>();
  const bool ok = point != nullptr && point->stage != nullptr ? point->stage->write(r, output)
                                                              : r.sink->send_body(r, output);
  if (!ok) r.aborted = true;
  return ok;
}

}  // namespace mp::http
