#include "http/engine.hpp"

#include <utility>

#include "base/escape.hpp"
#include "fiber/scheduler.hpp"
#include "http/core_conf.hpp"
#include "http/edge_module.hpp"
#include "http/file_path.hpp"
#include "http/hangup.hpp"
#include "http/redirect.hpp"
#include "http/uri.hpp"

namespace mp::http {
namespace {

PhaseTable the_table;

// Calls the handlers of a phase that the block in force wants, in order, until `call` gives false.
template <class Call>
[[gnu::always_inline]] inline void for_handlers(const Request& r, Phase phase, Call call) {
  const int at = static_cast<int>(phase);
  run_rows(r, the_table.handlers[at], [at](const Plan& plan) { return plan.handlers[at]; }, call);
}

// Runs the handlers of a phase in order until one does more than decline.
[[gnu::always_inline]] inline Step run_handlers(Request& r, Phase phase) {
  Step step = Step::decline();
  for_handlers(r, phase, [&](Handler handler) { return (step = handler(r)).is_decline(); });
  return step;
}

// Refusals of unknown users may be held back, so that guessing takes its time.
[[gnu::noinline]] Step refuse_unauthorized(Request& r, Step refusal) {
  const std::int64_t delay = r.conf<CoreLocation>().auth_delay;
  if (delay != 0) {
    log::info(r.logger, "delaying unauthorized request");
    const CancelOnHangup watch(r);
    fiber::sleep_for(static_cast<fiber::Msec>(delay));
  }
  return refusal;
}

// Nobody has let the request in.
[[gnu::cold, gnu::noinline]] Step refuse_access(Request& r, int refusal) {
  if (refusal == 403) log::error(r.logger, "access forbidden by rule");
  return refusal == 401 ? refuse_unauthorized(r, Step::finish(401)) : Step::finish(refusal);
}

// Access control takes votes: `satisfy all` needs every handler to agree, `any` one of them.
struct Votes {
  const bool any;
  int refusal = 0;
  Step verdict = Step::decline();
};

// A vote that may decide. False: it has.
[[gnu::noinline]] bool count_vote(Request& r, Votes& votes, Step step) {
  if (step.kind() == Step::Kind::pass) r.out.headers.remove(HeaderId::www_authenticate);
  if (step.kind() == Step::Kind::finish) {
    if (votes.any && (step.status() == 401 || step.status() == 403)) {
      if (votes.refusal != 401) votes.refusal = step.status();
      return true;
    }
    if (step.status() == 401) step = refuse_unauthorized(r, step);
  }
  votes.verdict = step;
  return false;
}

Step run_access(Request& r) {
  if (r.is_sub()) return Step::pass();
  Votes votes{r.conf<CoreLocation>().satisfy == Satisfy::any};
  for_handlers(r, Phase::access, [&](Handler handler) {
    const Step step = handler(r);
    if (step.is_decline() || (step.kind() == Step::Kind::pass && !votes.any)) [[likely]]
      return true;
    return count_vote(r, votes, step);
  });
  if (!votes.verdict.is_decline()) return votes.verdict;
  return votes.refusal == 0 ? Step::pass() : refuse_access(r, votes.refusal);
}

[[gnu::noinline]] Step redirect_to_directory(Request& r) {
  std::string_view target = r.arena.concat(r.uri, "/");
  if (r.quoted_uri || r.complex_uri) target = escape_uri(r.arena, target, UriEscape::uri);
  if (!r.args.empty()) target = r.arena.concat(target, "?", r.args);
  r.out.headers.set(HeaderId::location, target);
  return Step::finish(301);
}

Step find_config(Request& r) {
  r.content_handler = nullptr;
  r.uri_changed = false;
  bool redirect_slash = false;
  const Location* location = find_location(r, redirect_slash);
  if (location != nullptr) [[likely]] {
    r.enter_location(*location);
    log::debug(r.logger, "using configuration \"{}\"", location->name);
  } else {
    r.enter_set(*r.sets[conf::Level::server]->around[conf::Level::location]);
  }
  if (r.conf<CoreLocation>().internal && !r.internal) [[unlikely]]
    return Step::finish(404);
  const auto& block = r.conf<CoreBlock>();
  if (block.limit_except_set != nullptr && !(block.limit_except & static_cast<std::uint32_t>(r.method)))
      [[unlikely]] {
    r.enter_set(*block.limit_except_set);
  }
  const auto& settings = r.conf<CoreLocation>();
  const std::int64_t limit = settings.client_max_body_size;
  if (!r.is_sub() && limit != 0 && r.content_length_in > limit && r.body.state == RequestBody::State::unread)
      [[unlikely]] {
    log::error(r.logger, "client intended to send too large body: {} bytes", r.content_length_in);
    r.keepalive = false;
    return Step::finish(413);
  }
  if (redirect_slash) [[unlikely]]
    return redirect_to_directory(r);
  return Step::decline();
}

// Nobody has an answer.
[[gnu::cold, gnu::noinline]] Step refuse_content(Request& r) {
  if (!r.uri.empty() && r.uri.back() == '/') {
    log::error(r.logger, "directory index of \"{}\" is forbidden", map_to_path(r, r.uri));
    return Step::finish(403);
  }
  log::error(r.logger, "no handler found");
  return Step::finish(404);
}

Step run_content(Request& r) {
  if (r.content_handler != nullptr) {
    const Step own = r.content_handler(r);
    if (!own.is_decline()) [[likely]]
      return own;
  }
  const Step step = run_handlers(r, Phase::content);
  return step.is_decline() ? refuse_content(r) : step;
}

// Takes the request through the phases until one finishes it or sends it elsewhere.
Step walk(Request& r, Phase phase) {
  for (;;) {
    phase = r.conf<Plan>().next(phase);
    r.phase = phase;
    Step step = Step::decline();
    switch (phase) {
      case Phase::find_config:
        step = find_config(r);
        break;
      case Phase::post_rewrite:
        if (!r.uri_changed) [[likely]]
          break;
        if (--r.uri_changes <= 0) {
          log::error(r.logger, "rewrite or internal redirection cycle while processing \"{}\"", r.uri);
          return Step::finish(500);
        }
        r.enter_set(*r.sets[conf::Level::server]->around[conf::Level::location]);
        phase = Phase::find_config;
        continue;
      case Phase::access:
        step = run_access(r);
        break;
      case Phase::content:
        step = run_content(r);
        if (step.is_decline() || step.kind() == Step::Kind::pass) [[unlikely]]
          step = Step::done();
        break;
      default:
        step = run_handlers(r, phase);
        break;
    }
    if (step.kind() == Step::Kind::finish || step.kind() == Step::Kind::restart) return step;
    phase = static_cast<Phase>(static_cast<int>(phase) + 1);
  }
}

[[gnu::noinline]] bool make_canonical_uri(Request& r, RequestUri& uri) {
  const auto parsed = parse_request_uri(r.arena, r.raw_uri, r.conf<CoreServer>().merge_slashes);
  if (!parsed) return false;
  uri = *parsed;
  r.quoted_uri = uri.quoted;
  r.complex_uri = r.raw_uri.substr(0, r.raw_uri.find('?')) != uri.path;
  r.valid_raw_uri = uri.raw_valid;
  return true;
}

// The canonical path, once, from what the client sent.
bool set_request_uri(Request& r) {
  RequestUri uri;
  if (!take_canonical_uri(r.raw_uri, uri) && !make_canonical_uri(r, uri)) return false;
  r.uri = uri.path;
  r.args = uri.args;
  r.exten = uri.extension;
  r.plus_in_uri = uri.plus;
  return true;
}

void close_without_answer(Request& r) {
  r.keepalive = false;
  r.aborted = true;
}

// What a status given by a handler means for the response.
Step answer(Request& r, int status) {
  if (status == 0) return Step::done();
  if (r.head_sent) {
    // Too late for another status: the client must see that the response is incomplete.
    if (!r.finished && status >= 300) r.aborted = true;
    return Step::done();
  }
  if (r.aborted || status == kCloseConnection || status == kClientClosedRequest || status == 408) {
    r.out.status = status;
    close_without_answer(r);
    return Step::done();
  }
  if (status >= 300 || status == 201 || status == 204) return special_response(r, status);
  r.out.status = status;
  if (r.out.content_length < 0) r.out.content_length = 0;
  r.send_head();
  r.finish_body();
  return Step::done();
}

}  // namespace

void set_phases(const PhaseTable& table) {
  the_table = table;
}
const PhaseTable& phases() {
  return the_table;
}

void run(Request& r, Phase phase) {
  for (;;) {
    Step step = walk(r, phase);
    while (step.kind() == Step::Kind::finish && step.status() != 0) [[unlikely]]
      step = answer(r, step.status());
    if (step.kind() == Step::Kind::restart) [[unlikely]] {
      phase = step.phase();
      continue;
    }
    if (r.head_sent && !r.finished && !r.aborted) [[unlikely]]
      r.finish_body();
    return;
  }
}

void log_request(Request& r) {
  r.phase = Phase::log;
  const char* const before = std::exchange(r.connection.doing, " while logging request");
  fiber::clear_cancel(*fiber::current());
  try {
    for (auto handler : the_table.log_handlers) handler(r);
  } catch (const fiber::Cancelled&) {
    // The worker's shutdown deadline passed in a log handler that waits.
  }
  r.connection.doing = before;
}

namespace {

// Runs `work`; a cancelled one counts as the client having gone.
template <class Work>
void guarded(Request& r, Work work) {
  try {
    work();
  } catch (const fiber::Cancelled&) {
    close_without_answer(r);
    if (!r.head_sent) r.out.status = kClientClosedRequest;
  }
  run_post_action(r);
  log::debug(r.logger, "http close request: {}", r.out.status);
  log_request(r);
}

[[gnu::cold, gnu::noinline]] void refuse_uri(Request& r) {
  log::info(r.logger, "client sent invalid request while reading client request line");
  r.keepalive = false;
  const Step step = special_response(r, 400);
  if (step.kind() == Step::Kind::restart) run(r, step.phase());
}

}  // namespace

void serve_error(Request& r, int status) {
  guarded(r, [&] {
    if (!r.raw_uri.empty()) (void)set_request_uri(r);  // for the log, and for an error_page
    Step step = special_response(r, status);
    if (step.kind() == Step::Kind::restart) run(r, step.phase());
  });
}

void serve(Request& r) {
  guarded(r, [&] {
    log::debug(r.logger, "http request line: \"{}\"", r.request_line);
    if (set_request_uri(r)) [[likely]] {
      log::debug(r.logger, "http uri: \"{}\", args: \"{}\"", r.uri, r.args);
      run(r, Phase::post_read);
    } else {
      refuse_uri(r);
    }
  });
}

}  // namespace mp::http
