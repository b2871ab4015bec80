// OrderedBody: lets a request and the subrequests it includes run at the same time, and sends what they write
// in the order in which they were asked for. A stage of the including request's body pipeline, behind the
// filters that see a request's own text only, in front of those that see the whole (compression, ranges).
// Lives in the arena of that request. What comes too early is kept in memory.
#pragma once

#include <deque>
#include <string>

#include "http/output.hpp"

namespace mp::http {

class Request;

class OrderedBody final : public BodyFilter {
 public:
  // A stretch of the body: what one subrequest writes, or what the request itself writes between two of them.
  struct Place {
    std::string held;
    bool of_subrequest = false;
    bool ended = false;
    bool flush = false;
    bool last = false;
  };

  explicit OrderedBody(Request& request) : request_(request) {}

  // What the request itself writes.
  bool write(Request& request, const Output& output) override;

  // The place of a subrequest begins here; what the request writes from now on comes behind it.
  Place& open();
  // What the subrequest writes, at its place.
  bool write(Place& place, const Output& output);
  // The subrequest has ended: what waited for it goes out. `place` is gone.
  void close(Place& place);

  bool waits_for_others() const { return !places_.empty(); }

 private:
  bool send(const Output& output);
  void drain();

  Request& request_;
  std::deque<Place> places_;  // the first one may write; never moved while it is in the list
  bool draining_ = false;
};

// Says, before the head is sent, that the body will include subrequests: the pipeline gets its OrderedBody.
void expect_includes(Request& request);

// The header filter that puts the stage into its place.
void ordered_body(Request& request);

// Null when nobody said so.
OrderedBody* find_ordered_body(const Request& request);

}  // namespace mp::http
