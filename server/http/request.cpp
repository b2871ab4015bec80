#include "http/request.hpp"

#include <cstring>
#include <new>
#include <utility>

#include "base/clock.hpp"
#include "fiber/scheduler.hpp"
#include "http/core_conf.hpp"
#include "http/engine.hpp"

namespace mp::http {

std::string_view RegexCaptures::at(std::uint32_t n) const {
  if (2 * n + 1 >= offsets.size() || offsets[2 * n] < 0) return {};
  return subject.substr(offsets[2 * n], offsets[2 * n + 1] - offsets[2 * n]);
}

Request::Request(Connection& c, Sink& s) : RequestState(), connection(c), sink(&s), main(this) {
  logger = c.logger;
  logger.subject = this;
  const Clock& now = clock();
  start_seconds = now.seconds();
  start_msec = now.msec();
  start_monotonic = now.monotonic_ms();
  fiber = fiber::current();
}

Request::~Request() = default;

void Request::describe(std::string& out_text) const {
  connection.describe(out_text);
  if (server != nullptr && sets[conf::Level::server] != nullptr) {
    out_text.append(", server: ").append(conf<CoreServer>().first_name);
  }
  if (!main->request_line.empty()) {
    out_text.append(", request: \"").append(main->request_line).append("\"");
  }
  if (is_sub()) out_text.append(", subrequest: \"").append(uri).append("\"");
  if (!upstream_text.empty()) out_text.append(", upstream: \"").append(upstream_text).append("\"");
  if (const HeaderField* h = in.find(HeaderId::host))
    out_text.append(", host: \"").append(h->value).append("\"");
  if (const HeaderField* h = in.find(HeaderId::referer)) {
    out_text.append(", referrer: \"").append(h->value).append("\"");
  }
}

void Request::set_uri(std::string_view new_uri) {
  uri = new_uri;
  exten = {};
  for (std::size_t i = new_uri.size(); i > 1; --i) {
    const char c = new_uri[i - 1];
    if (c == '/') break;
    if (c == '.' && new_uri[i - 2] != '/') {
      exten = new_uri.substr(i);
      break;
    }
  }
}

// ---- configuration

void Request::enter_set(conf::ConfSet& set) {
  sets[conf::Level::location] = &set;
  const auto& core = set.get<CoreLocation>();
  if (core.error_log != nullptr) logger.log = core.error_log.get();
  const Handler handler = set.get<CoreBlock>().handler;
  if (handler != nullptr) content_handler = handler;
}

void Request::enter_location(const Location& l) {
  location = &l;
  l.block.script.prefetch();
  enter_set(*l.set);
}

// ---- output

bool BodyFilter::next(Request& request, const Output& output) {
  return next_ != nullptr ? next_->write(request, output) : request.sink->send_body(request, output);
}

void Request::append_filter(BodyFilter* filter) {
  BodyFilter** link = &body_filters_;
  while (*link != nullptr) link = &(*link)->next_;
  *link = filter;
}

namespace {

[[gnu::noinline]] void drop_content(Response& out) {
  out.content_type = out.charset = {};
  out.content_length = -1;
  out.last_modified = -1;
}

// Of a response that is only a head.
[[gnu::noinline]] void write_no_body(Request& r, const Output& output) {
  if (output.last) r.finished = true;
  if (output.last || output.flush) r.sink->send_body(r, Output{{}, output.last, output.flush});
}

}  // namespace

bool Request::send_head() {
  if (head_sent) return head_result_;
  head_sent = true;
  if (out.status == 0) out.status = 200;
  if (aborted) [[unlikely]]
    return head_result_ = false;
  if (error_status != 0) [[unlikely]] {
    out.status = error_status;
    out.status_line = {};
  }
  // What follows a 101 is the new protocol's, and goes out.
  const bool bodiless = out.status < 200 && out.status != 101;
  if (method == Method::head || out.status == 204 || out.status == 304 || bodiless) header_only = true;
  run_rows(
      *this, phases().header_filters, [](const Plan& plan) { return plan.header_filters; },
      [this](auto filter) {
        filter(*this);
        return replace_with_status == 0;
      });
  if (replace_with_status != 0) [[unlikely]]
    return head_result_ = send_replacement();
  if (out.status == 204 || out.status == 304) header_only = true;
  if (error_status != 0 && out.status != 200 && out.status != 206 && out.status != 304) [[unlikely]] {
    out.last_modified = -1;  // it is the page's, not that of what was asked for
  }
  if (out.status == 204 && out.status_line.empty()) [[unlikely]]
    drop_content(out);
  if (aborted) [[unlikely]]
    return head_result_ = false;
  head_result_ = sink->send_head(*this, header_only);
  if (!head_result_) aborted = true;
  return head_result_;
}

// The body that the handler is about to send is not wanted: the error page goes out in its place.
bool Request::send_replacement() {
  const int status = std::exchange(replace_with_status, 0);
  head_sent = false;
  header_only = false;
  no_conditions = true;
  clear_body_filters();
  out.allow_ranges = false;
  const Step step = special_response(*this, status);
  if (step.kind() == Step::Kind::restart) run(*this, step.phase());
  finished = true;
  return head_result_ && !aborted;
}

bool Request::write(const Output& output) {
  if (!head_sent && !send_head()) return false;
  if (aborted || !head_result_) return false;
  if (finished) return true;
  if (header_only) [[unlikely]] {
    write_no_body(*this, output);
    return true;
  }
  if (output.last) finished = true;
  const bool ok =
      body_filters_ != nullptr ? body_filters_->write(*this, output) : sink->send_body(*this, output);
  if (!ok) [[unlikely]]
    aborted = true;
  return ok;
}

bool Request::write(std::string_view bytes, bool last, bool flush) {
  const Piece piece = Piece::memory(bytes);
  return write(Output{bytes.empty() ? std::span<const Piece>() : std::span(&piece, 1), last, flush});
}

Step Request::respond(int status, std::string_view content_type, std::string_view text) {
  out.status = status;
  out.content_type = content_type;
  out.content_length = static_cast<std::int64_t>(text.size());
  send_head();
  write(text, true);
  return Step::done();
}

void Request::clear_content_length() {
  out.content_length = -1;
}

void Request::clear_accept_ranges() {
  out.allow_ranges = false;
  out.headers.remove(HeaderId::accept_ranges);
}

void Request::clear_etag() {
  out.headers.remove(HeaderId::etag);
}

void Request::weaken_etag() {
  auto* etag = const_cast<HeaderField*>(out.headers.find(HeaderId::etag));
  if (etag == nullptr || etag->value.substr(0, 2) == "W/") return;
  if (etag->value.empty() || etag->value.front() != '"') return clear_etag();
  etag->value = arena.concat("W/", etag->value);
}

// ---- internal redirects

Step Request::internal_redirect(std::string_view new_uri, std::string_view new_args) {
  if (--uri_changes <= 0) {
    log::error(logger, "rewrite or internal redirection cycle while internally redirecting to \"{}\"",
               new_uri);
    return Step::finish(500);
  }
  connection.doing = "";
  set_uri(new_uri);
  args = new_args;
  quoted_uri = complex_uri = valid_raw_uri = plus_in_uri = false;
  valid_location = true;
  internal = true;
  uri_changed = false;
  content_handler = nullptr;
  drop_contexts();
  clear_body_filters();
  sets[conf::Level::location] = sets[conf::Level::server]->around[conf::Level::location];
  location = nullptr;
  enter_set(*sets[conf::Level::location]);
  return Step::restart(Phase::server_rewrite);
}

Step Request::named_location(std::string_view name) {
  if (--uri_changes <= 0) {
    log::error(logger, "rewrite or internal redirection cycle while redirect to named location \"{}\"", name);
    return Step::finish(500);
  }
  if (uri.empty()) {
    log::error(logger, "empty URI in redirect to named location \"{}\"", name);
    return Step::finish(500);
  }
  const Location* target = server != nullptr ? server->locations.find_named(name) : nullptr;
  if (target == nullptr) {
    log::error(logger, "could not find named location \"{}\"", name);
    return Step::finish(500);
  }
  internal = true;
  content_handler = nullptr;
  uri_changed = false;
  drop_contexts();
  clear_body_filters();
  sets[conf::Level::location] = sets[conf::Level::server]->around[conf::Level::location];
  enter_location(*target);
  return Step::restart(Phase::rewrite);
}

Request::ContextNode* Request::find_behind(ContextNode& node, const void* key) {
  ContextNode* n = node.next;
  while (n != nullptr && n->key != key) n = n->next;
  return n;
}

void Request::drop_contexts() {
  for (ContextNode* n = contexts_; n != nullptr; n = n->next) {
    if (!n->keep) n->key = nullptr;
  }
}

// ---- variables

namespace {

// A configuration has some hundred and fifty variables and a request needs a few: values are made when they
// are first asked for. In front of the values lies the arena that they are in, as subrequests that share them
// end earlier than it does; in front of that, backwards, a bit for each value that was made.
Arena*& arena_of(Value* values) {
  return reinterpret_cast<Arena**>(values)[-1];
}

std::uint64_t& made_bits(Value* values, std::uint32_t index) {
  return *(reinterpret_cast<std::uint64_t*>(values) - 2 - index / 64);
}

// The value as it may stand among `values`.
Value lasting(Value value, Value* values, const Arena& own) {
  Arena* const arena = arena_of(values);
  if (arena != &own) value.text = arena->copy(value.text);
  return value;
}

Value& made(Value* values, std::uint32_t index) {
  std::uint64_t& word = made_bits(values, index);
  const std::uint64_t bit = std::uint64_t{1} << (index % 64);
  if ((word & bit) == 0) {
    word |= bit;
    new (values + index) Value();
  }
  return values[index];
}

Value computed(Request& r, const Variable& v, Value* values) {
  Value value = v.get != nullptr ? v.get(r, v) : Value::none();
  value.known = true;
  return lasting(value, values, r.arena);
}

}  // namespace

Value* Request::ensure_values() {
  if (values_ != nullptr) return values_;
  const std::uint32_t count = conf<CoreMain>().variables.count();
  const std::size_t bits = (count + 63) / 64 * sizeof(std::uint64_t);
  static_assert(alignof(Value) == alignof(std::uint64_t) && alignof(Value) == alignof(Arena*));
  auto* const room = static_cast<char*>(
      arena.allocate(bits + sizeof(Arena*) + count * sizeof(Value), alignof(std::uint64_t)));
  std::memset(room, 0, bits);
  values_ = reinterpret_cast<Value*>(room + bits + sizeof(Arena*));
  arena_of(values_) = &arena;
  return values_;
}

const Value& Request::variable(const Variable& v) {
  Value* const values = ensure_values();
  Value& value = made(values, v.index);
  if (value.found || value.known) return value;
  return value = computed(*this, v, values);
}

const Value& Request::fresh_variable(const Variable& v) {
  Value* const values = ensure_values();
  Value& value = made(values, v.index);
  if ((value.found || value.known) && v.cacheable && value.cacheable) return value;
  value = {};
  return value = computed(*this, v, values);
}

Value Request::variable(std::string_view name) {
  VariableTable& table = conf<CoreMain>().variables;
  if (const Variable* v = table.find(name)) return fresh_variable(*v);
  const Variable* prefix = table.find_prefix(name);
  if (prefix == nullptr) return Value::none();
  Variable one = *prefix;
  const std::string_view kept = arena.copy(name);
  one.name = kept;
  return one.get(*this, one);
}

void Request::set_value(const Variable& v, Value value) {
  value.known = true;
  Value* const values = ensure_values();
  made(values, v.index) = lasting(value, values, arena);
}

bool Request::set_variable(std::string_view name, std::string_view text) {
  const Variable* v = conf<CoreMain>().variables.find(name);
  if (v == nullptr || !v->changeable) return false;
  if (v->set != nullptr) {
    v->set(*this, *v, text);
  } else {
    set_value(*v, Value::of(text));
  }
  return true;
}

void Request::copy_variables_to(Request& other) {
  const std::uint32_t count = conf<CoreMain>().variables.count();
  if (values_ == nullptr) return;
  Value* const to = other.ensure_values();
  for (std::uint32_t i = 0; i < count; ++i) {
    if ((made_bits(values_, i) >> (i % 64) & 1) != 0) made(to, i) = values_[i];
  }
}

}  // namespace mp::http
