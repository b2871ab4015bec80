#include "http/subrequest.hpp"

#include <string>

#include "base/clock.hpp"
#include "fiber/scheduler.hpp"
#include "http/core_conf.hpp"
#include "http/engine.hpp"
#include "http/include_point.hpp"
#include "http/ordered_body.hpp"
#include "http/piece_text.hpp"

namespace mp::http {
namespace {

// Keeps a response in memory.
class CaptureSink final : public Sink {
 public:
  bool send_head(Request&, bool) override { return true; }
  bool send_body(Request&, const Output& output) override {
    if (!append_text(body, output)) return false;
    complete |= output.last;
    return true;
  }
  std::string body;
  bool complete = false;
};

// Passes a body on into the parent's, which ends later.
class IncludeSink final : public Sink {
 public:
  explicit IncludeSink(Request& parent) : parent_(parent), ordered_(find_ordered_body(parent)) {
    if (ordered_ != nullptr) place_ = &ordered_->open();
  }
  bool send_head(Request&, bool) override { return true; }
  bool send_body(Request&, const Output& output) override {
    if (output.pieces.empty() && !output.flush) return true;
    if (place_ != nullptr) return ordered_->write(*place_, output);
    return write_included(parent_, Output{output.pieces, false, output.flush});
  }
  // What the parent wrote meanwhile may go out now.
  void end() {
    if (place_ != nullptr) ordered_->close(*place_);
  }

 private:
  Request& parent_;
  OrderedBody* ordered_;
  OrderedBody::Place* place_ = nullptr;
};

class DropSink final : public Sink {
 public:
  bool send_head(Request&, bool) override { return true; }
  bool send_body(Request&, const Output&) override { return true; }
};

// What a subrequest has of its parent, and what its options change.
void prepare(Request& r, Request& parent, std::string_view uri, const SubrequestOptions& options) {
  r.main = parent.main;
  r.parent = &parent;
  r.depth = parent.depth + 1;
  r.exchange = parent.exchange;
  r.internal = true;
  r.server = parent.server;
  r.sets = parent.sets;
  r.sets[conf::Level::location] = r.sets[conf::Level::server]->around[conf::Level::location];
  r.logger = parent.logger;
  r.logger.subject = &r;
  r.enter_set(*r.sets[conf::Level::location]);
  r.method = options.method;
  r.method_text = method_name(options.method);
  r.version = parent.version;
  r.request_line = parent.request_line;
  r.raw_uri = parent.raw_uri;
  r.valid_raw_uri = false;
  r.host = parent.host;
  r.host_port = parent.host_port;
  for (const HeaderField& field : parent.in) r.in.add(field);
  r.set_uri(r.arena.copy(uri));
  r.args = r.arena.copy(options.args);
  if (options.forward_body) {
    r.content_length_in = parent.content_length_in;
    for (std::string_view part : parent.body.parts) r.body.parts.push_back(part);
    r.body.size = parent.body.size;
    r.body.state = RequestBody::State::read;
    r.body.borrowed_file = parent.body.in_file() ? &parent.body.file : parent.body.borrowed_file;
  } else if (options.has_body) {
    set_body(r, options.body);
  } else {
    r.in.remove(HeaderId::content_length);
    r.body.state = RequestBody::State::read;
  }
  r.in.remove(HeaderId::transfer_encoding);
  if (options.clone) {
    r.method = parent.method;
    r.method_text = parent.method_text;
    r.args = parent.args;
    r.quoted_uri = parent.quoted_uri;
    r.valid_location = parent.valid_location;
    r.location = parent.location;
    r.enter_set(*parent.sets[conf::Level::location]);
    r.content_handler = parent.content_handler;
  }
  if (options.share_variables) parent.share_variables_with(r);
  if (options.copy_variables) parent.copy_variables_to(r);
  if (options.prepare) options.prepare(r);
}

// Runs the request on the fiber of its parent; the current request is the parent's again afterwards.
void run_nested(Request& r, Phase phase = Phase::server_rewrite) {
  struct Current {
    void* outer = fiber::local().request;
    explicit Current(Request& inner) { fiber::local().request = &inner; }
    ~Current() { fiber::local().request = outer; }
  } current(r);
  r.connection.doing = "";  // as for a client's request: nothing yet
  run(r, phase);
  if (r.conf<CoreLocation>().log_subrequest) {
    for (auto handler : phases().log_handlers) handler(r);
  }
}

}  // namespace

bool too_deep(Request& parent, std::string_view uri) {
  if (parent.depth < kMaxSubrequestDepth) return false;
  log::error(parent.logger, "subrequests cycle while processing \"{}\"", uri);
  return true;
}

Captured capture(Request& parent, std::string_view uri, const SubrequestOptions& options) {
  Captured result(parent.arena);
  if (too_deep(parent, uri)) {
    result.status = 500;
    return result;
  }
  CaptureSink sink;
  Request r(parent.connection, sink);
  prepare(r, parent, uri, options);
  run_nested(r);
  result.status = r.out.status != 0 ? r.out.status : 200;
  result.truncated = !sink.complete && !r.header_only;
  result.body = parent.arena.copy(sink.body);
  for (const HeaderField& f : r.out.headers) {
    result.headers.add({parent.arena.copy(f.name), parent.arena.copy(f.value), f.id});
  }
  if (!r.out.content_type.empty()) {
    std::string_view type = parent.arena.copy(r.out.content_type);
    if (!r.out.charset.empty()) type = parent.arena.concat(type, "; charset=", r.out.charset);
    result.headers.add(HeaderId::content_type, type);
  }
  if (r.out.content_length >= 0) {
    result.headers.add(HeaderId::content_length, parent.arena.copy(std::to_string(r.out.content_length)));
  }
  if (r.out.last_modified >= 0) {
    char date[kHttpDateSize];
    write_http_date(date, r.out.last_modified);
    result.headers.add(HeaderId::last_modified, parent.arena.copy({date, kHttpDateSize}));
  }
  return result;
}

namespace {

int run_included(Request& parent, IncludeSink& sink, std::string_view uri, const SubrequestOptions& options) {
  Request r(parent.connection, sink);
  prepare(r, parent, uri, options);
  run_nested(r);
  sink.end();
  return r.out.status;
}

}  // namespace

int include(Request& parent, std::string_view uri, const SubrequestOptions& options) {
  if (too_deep(parent, uri)) return 500;
  IncludeSink sink(parent);
  return run_included(parent, sink, uri, options);
}

bool include_beside(fiber::Group& group, Request& parent, std::string_view uri,
                    const SubrequestOptions& options) {
  if (too_deep(parent, uri)) return false;
  // The place is taken now, whenever the fiber gets its turn.
  auto* sink = parent.arena.make<IncludeSink>(parent);
  group.spawn([&parent, sink, uri, options] {
    fiber::yield();  // the parent goes first
    run_included(parent, *sink, uri, options);
  });
  return true;
}

int run_subrequest(Request& parent, std::string_view uri, const SubrequestOptions& options, Sink& sink) {
  if (too_deep(parent, uri)) return 500;
  Request r(parent.connection, sink);
  prepare(r, parent, uri, options);
  run_nested(r, options.clone ? Phase::content : Phase::server_rewrite);
  return r.out.status;
}

int probe(Request& parent, std::string_view uri, const SubrequestOptions& options,
          const std::function<void(Request&)>& inspect) {
  if (too_deep(parent, uri)) return 500;
  DropSink sink;
  Request r(parent.connection, sink);
  prepare(r, parent, uri, options);
  run_nested(r);
  if (inspect) inspect(r);
  return r.out.status;
}

}  // namespace mp::http
