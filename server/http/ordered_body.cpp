#include "http/ordered_body.hpp"

#include "http/include_point.hpp"
#include "http/piece_text.hpp"
#include "http/request.hpp"

namespace mp::http {
namespace {

struct Includes {
  OrderedBody* body = nullptr;
};

// Says that somebody writes what was held back, also when the wait for the client ends by cancellation.
class Busy {
 public:
  explicit Busy(bool& flag) : flag_(flag) { flag_ = true; }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;
  ~Busy() { flag_ = false; }

 private:
  bool& flag_;
};

}  // namespace

bool OrderedBody::send(const Output& output) {
  if (request_.aborted) return false;
  if (next(request_, output)) return true;
  request_.aborted = true;
  return false;
}

bool OrderedBody::write(Request&, const Output& output) {
  if (places_.empty()) return send(output);
  if (places_.back().of_subrequest) places_.emplace_back();
  Place& place = places_.back();
  if (!append_text(place.held, output)) return false;
  place.flush |= output.flush;
  place.last |= output.last;
  place.ended = true;
  return true;
}

OrderedBody::Place& OrderedBody::open() {
  places_.emplace_back();
  places_.back().of_subrequest = true;
  return places_.back();
}

bool OrderedBody::write(Place& place, const Output& output) {
  if (&place == &places_.front() && !draining_) return send(Output{output.pieces, false, output.flush});
  place.flush |= output.flush;
  return append_text(place.held, output);
}

void OrderedBody::close(Place& place) {
  place.ended = true;
  if (&place == &places_.front() && !draining_) drain();
}

void OrderedBody::drain() {
  const Busy busy(draining_);
  while (!places_.empty()) {
    Place& place = places_.front();
    if (!place.held.empty() || place.flush) {
      const std::string text = std::exchange(place.held, {});
      const Piece piece = Piece::memory(text);
      const auto pieces = text.empty() ? std::span<const Piece>() : std::span(&piece, 1);
      send(Output{pieces, false, std::exchange(place.flush, false)});
      continue;  // more may have come while the client was waited for
    }
    if (!place.ended) return;
    if (std::exchange(place.last, false)) {
      send(Output{{}, true, false});
      continue;
    }
    places_.pop_front();
  }
}

void expect_includes(Request& request) {
  (void)request.ctx<Includes>();
}

namespace {

[[gnu::noinline]] void add_ordered_body(Request& request, Includes& includes) {
  includes.body = &request.add_body_filter<OrderedBody>(request);
  set_include_point(request, *includes.body);
}

}  // namespace

void ordered_body(Request& request) {
  if (auto* includes = request.find_ctx<Includes>()) [[unlikely]]
    add_ordered_body(request, *includes);
}

OrderedBody* find_ordered_body(const Request& request) {
  const auto* includes = request.find_ctx<Includes>();
  return includes != nullptr ? includes->body : nullptr;
}

}  // namespace mp::http
