#include "proto/h1/connection.hpp"

#include <cerrno>
#include <new>

#include "base/clock.hpp"
#include "base/rarely.hpp"
#include "base/strings.hpp"
#include "conf/process_conf.hpp"
#include "http/connect_conf.hpp"
#include "http/core_conf.hpp"
#include "http/engine.hpp"
#include "http/lost_client.hpp"
#include "http/proxy_protocol.hpp"
#include "http/ssl_connection.hpp"
#include "http/uri.hpp"
#include "proto/h1/exchange.hpp"
#include "proto/h1/outbox.hpp"
#include "proto/linger.hpp"

namespace mp::proto {
namespace {

HeadOptions head_options(const http::CoreServer& conf) {
  HeadOptions options;
  options.first_buffer = conf.client_header_buffer_size.get();
  options.large_buffer = conf.large_client_header_buffers->size;
  options.large_buffers = static_cast<unsigned>(conf.large_client_header_buffers->count);
  options.max_fields = static_cast<unsigned>(conf.max_headers.get());
  options.ignore_odd_names = conf.ignore_invalid_headers;
  options.underscores = conf.underscores_in_headers;
  options.allow_connect = true;  // the server that is meant decides: refuse_method()
  return options;
}

[[gnu::noinline]] bool refuse_connect(http::Request& request) {
  if (request.sets.get<http::ConnectConf>().allowed) return false;
  request.connection.doing = " while reading client request headers";
  log::info(request.logger, "client sent CONNECT method");
  request.connection.doing = "";
  return true;
}

inline bool refuse_method(http::Request& request) {
  return request.method == http::Method::connect && refuse_connect(request);
}

// Counted for as long as it lives.
class Counted {
 public:
  explicit Counted(Counter& counter) : counter_(counter) { counter_.add(); }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { counter_.sub(); }

 private:
  Counter& counter_;
};

// What there is of the request line, also when it could not be understood.
[[gnu::cold]] std::string_view line_for_log(const RequestHeadParser& parser, std::string_view input) {
  if (!parser.head().request_line.empty()) return parser.head().request_line;
  while (!input.empty() && (input.front() == '\r' || input.front() == '\n')) input.remove_prefix(1);
  return input.substr(0, input.find_first_of("\r\n"));
}

}  // namespace

// ---- life

H1Connection::H1Connection(Worker& worker, const net::Address& peer, const http::AddressConf& listen_address)
    : worker_(worker) {
  address = &listen_address;
  client = peer;
  number = worker.next_connection_number();
  started_msec = fiber::now();
  is_tls = listen_address.tls;
  const auto& set = *listen_address.default_server->sets[conf::Level::location];
  const auto& core = const_cast<conf::ConfSet&>(set).get<http::CoreLocation>();
  logger = {core.error_log.get(), this};
  const conf::Sets& root = worker.configuration().root();
  if (root[conf::Level::events] != nullptr && root.get<conf::EventsConf>().debugs(client.raw())) {
    logger.everything = true;
  }
  worker_.enter(*this);
}

H1Connection::~H1Connection() {
  running_ = true;  // nobody is to be woken any more
  send_what_is_posted();
  if (posted_ == Posted::rest) worker_.outbox().take_kept(*this);
  worker_.leave(*this);
}

void H1Connection::start(Worker& worker, int fd, const net::Address& peer, const http::AddressConf& address) {
  std::unique_ptr<H1Connection> c(new H1Connection(worker, peer, address));
  if (const Status adopted = c->socket.adopt(fd); !adopted) {
    log::alert(c->logger, "{}", adopted.error().text);
    return;
  }
  c->doing = " while waiting for request";
  c->go_idle(static_cast<std::uint64_t>(c->settings().client_header_timeout.get()));
  c.release();
}

void H1Connection::go_idle(std::uint64_t timeout_msec) {
  idle_timeout_ = timeout_msec;
  running_ = false;
  fiber_ = nullptr;
  worker_.counters().waiting.add();
  // A timer of an earlier wait that ends sooner stays as it is, and is set anew when it ends: once a minute
  // and not with every request.
  idle_since_ = fiber::now();
  const std::uint64_t until = idle_since_ + timeout_msec;
  if (!armed() || deadline() > until) fiber::here()->arm(*this, until);
}

void H1Connection::input_ready() {
  if (http2_ != nullptr) return http2_->input_ready();
  if (running_) [[unlikely]] {
    if (socket.hangup && hangup_listener != nullptr) hangup_listener->client_gone();
    return;
  }
  worker_.counters().waiting.sub();
  running_ = true;
  add_to(worker_.turns().waiting, this);
  fiber::spawn_later(&H1Connection::take_turn, &worker_);
}

void H1Connection::expired() {
  if (running_) return;  // go_idle() sets it
  if (const std::uint64_t until = idle_since_ + idle_timeout_; fiber::now() < until) {
    return fiber::here()->arm(*this, until);
  }
  if (!kept_alive_) log::info(logger, log::Errno{ETIMEDOUT}, "client timed out");
  close_now();
}

void H1Connection::close_if_idle() {
  if (http2_ != nullptr) return http2_->close_if_idle();
  if (running_) return;
  // A client that was busy a moment ago may be sending its next request right now: closing would reset it. It
  // gets a short time for that one, which is answered with "Connection: close".
  constexpr fiber::Msec kBusy = 1000;
  constexpr fiber::Msec kGrace = 300;
  if (fiber::now() - idle_since_ < kBusy) {
    idle_timeout_ = fiber::now() - idle_since_ + kGrace;
    fiber::here()->arm(*this, idle_since_ + idle_timeout_);
    return;
  }
  close_now();
}

void H1Connection::close_now() {
  worker_.counters().waiting.sub();
  delete this;
}

void H1Connection::cancel() {
  if (http2_ != nullptr) return http2_->cancel();
  if (!running_) return close_now();
  cancel_asked_ = true;
  if (fiber_ != nullptr) fiber::cancel(*fiber_);
}

void H1Connection::run() {
  std::unique_ptr<H1Connection> self(this);
  fiber_ = fiber::current();
  if (cancel_asked_) [[unlikely]]
    fiber::cancel(*fiber_);
  try {
    serve_requests();
  } catch (const fiber::Cancelled&) {
    return;  // the worker's shutdown deadline has passed
  } catch (const std::bad_alloc&) {
    log::alert(logger, log::Errno{ENOMEM}, "request ended");
    return;
  }
  if (!socket.is_open()) return;
  self.release();
  if (http2_ != nullptr) start_http2();
}

// What every request runs through is one function: the parts of it that are called from one place are
// inlined.
void H1Connection::serve_requests() {
  if (address->proxy_protocol && proxy_protocol == nullptr && !read_proxy_header()) [[unlikely]]
    return socket.close();
  if (is_tls && ssl == nullptr && !plain_on_tls_ && !start_tls()) [[unlikely]]
    return socket.close();
  if (!kept_alive_ && speaks_http2()) [[unlikely]] {
    http2_ = std::make_unique<H2Session>(*this, worker_);
    return;
  }
  if (!socket.is_open()) return;
  for (;;) {
    const After after = posted_ == Posted::rest ? send_rest() : serve_one();
    // Those of one pass are sent in their order; what comes next for this one goes behind it.
    if (after != After::idle) [[unlikely]]
      send_what_is_posted();
    if (posted_ == Posted::rest) [[unlikely]] {
      if (after != After::close) continue;
      send_rest();
    }
    switch (after) {
      case After::next_request:
        continue;
      case After::idle:
        input.release();
        return go_idle(idle_timeout_);
      case After::close:
      case After::linger:
        return socket.close();
    }
  }
}

// ---- one request

// True when a head, good or bad, was parsed; false when the connection is over before that.
[[gnu::always_inline]] inline bool H1Connection::read_head(const http::CoreServer& conf,
                                                           RequestHeadParser& parser,
                                                           http::Request& request) {
  const std::string_view data = input.unread();
  if (!data.empty() && parser.feed(data) != Parse::need_more) [[likely]]
    return true;
  return read_more_head(conf, parser, request);
}

// What has come, which may be nothing, is not the whole head.
[[gnu::noinline]] bool H1Connection::read_more_head(const http::CoreServer& conf, RequestHeadParser& parser,
                                                    http::Request& request) {
  const std::uint64_t deadline = fiber::now() + static_cast<std::uint64_t>(conf.client_header_timeout.get());
  do {
    doing =
        parser.line_done() ? " while reading client request headers" : " while reading client request line";
    const char* before = input.unread().data();
    input.reserve(1024);
    if (input.unread().data() != before && !input.empty()) parser.rebase(input.unread().data());
    const net::Io io = socket.read(input.room(), deadline);
    if (!io.ok()) [[unlikely]] {
      head_did_not_come(io, parser, request);
      return false;
    }
    input.filled(io.bytes);
  } while (parser.feed(input.unread()) == Parse::need_more);
  return true;
}

void H1Connection::head_did_not_come(const net::Io& io, const RequestHeadParser& parser,
                                     http::Request& request) {
  if (parser.started()) {
    ++requests;
    request.request_line = line_for_log(parser, input.unread());
    request.head_size = parser.read_so_far();
  }
  if (io.kind == net::Io::Kind::timeout) {
    request.ctx<http::ClientTimedOut>();
    log::info(parser.started() ? request.logger : logger, log::Errno{ETIMEDOUT}, "client timed out");
  } else if (parser.started()) {
    log::info(request.logger, "client prematurely closed connection");
  }
}

inline void H1Connection::apply_head(http::Request& r, RequestHead& head) {
  r.method = head.method;
  r.method_text = head.method_name;
  r.version = static_cast<http::Version>(head.version);
  r.request_line = head.request_line;
  r.raw_uri = head.target;
  r.raw_head = head.raw;
  r.head_size = head.raw.size();
  r.in.adopt(head.fields.all().data(), head.fields.size(), head.fields.size());
  r.scheme_host = head.authority;
  r.content_length_in = head.body.kind == http::BodyKind::length ? head.body.length : -1;
  r.chunked_in = head.body.kind == http::BodyKind::chunked;
  r.keepalive = head.keep_alive();
  if (head.host) {
    r.host = head.host->name;
    r.host_port = head.host->port;
  }
}

[[gnu::always_inline]] inline H1Connection::After H1Connection::serve_one() {
  const http::Server& server = first_server();
  const http::CoreServer& conf = server.sets.get<http::CoreServer>();
  H1Exchange exchange(*this);
  http::Request request(*this, exchange);
  request.exchange = &exchange;
  request.pipelined = std::exchange(pipelined_, false);
  request.server = &server;
  request.sets = server.sets;
  fiber::local().request = &request;
  request.enter_set(*request.sets[conf::Level::location]);

  const HeadOptions options = head_options(conf);
  // Not on the stack, which is to be one page while a request waits.
  auto& parser = *request.arena.make<RequestHeadParser>(options, request.arena);
  bool parsed = false;
  {
    const Counted reading(worker_.counters().reading);
    parsed = read_head(conf, parser, request);
  }
  if (!parsed) [[unlikely]] {
    if (!parser.started()) return After::close;
    request.out.status = request.find_ctx<http::ClientTimedOut>() != nullptr ? 408 : 400;
    request.aborted = true;
    http::log_request(request);
    return break_off(request);
  }
  ++requests;
  worker_.counters().requests.add();
  apply_head(request, parser.head());
  if (parser.error().status != 0) [[unlikely]] {
    request.request_line = line_for_log(parser, input.unread());
    request.head_size = parser.read_so_far();
  }
  if (parser.ignored_lines() != 0) [[unlikely]]
    log_ignored_lines(parser, request);
  doing = "";
  // A request that names no host is for the server named "", if there is one.
  const bool unreadable = request.host.empty() && parser.error().status != 0;
  const bool misdirected = !unreadable && !http::select_server(request, *address, request.host);

  if (const Counted writing(worker_.counters().writing); parser.error().status != 0) [[unlikely]] {
    refuse_head(parser, request, exchange);
  } else {
    input.consume(parser.consumed());
    input.hold();
    const bool expects = parser.head().fields.has(http::HeaderId::expect);
    exchange.begin(request, parser.head().body, expects && http::expects_continue(request));
    const bool refused = refuse_method(request);
    if (refused) [[unlikely]] {
      request.keepalive = false;
      exchange.no_keepalive();
    }
    const int refusal = misdirected ? 421 : refused ? 405 : is_tls ? http::check_client(request) : 0;
    if (refusal == 0) [[likely]] {
      http::serve(request);
    } else {
      http::serve_error(request, refusal);
    }
  }
  kept_alive_ = true;
  const After after = after_response(request, exchange);
  fiber::local().request = nullptr;
  return after;
}

void H1Connection::log_ignored_lines(const RequestHeadParser& parser, const http::Request& request) {
  doing = " while reading client request headers";
  for (std::size_t i = 0; i < parser.ignored_lines(); ++i) {
    log::info(request.logger, "client sent invalid header line: \"{}\"", parser.ignored_line(i));
  }
}

void H1Connection::refuse_head(const RequestHeadParser& parser, http::Request& request,
                               H1Exchange& exchange) {
  doing = parser.line_done() ? " while reading client request headers" : " while reading client request line";
  log::info(request.logger, "{}", parser.error().text);
  doing = "";
  request.keepalive = false;
  exchange.no_keepalive();
  http::serve_error(request, parser.error().status);
}

// ---- after the response

[[gnu::always_inline]] inline H1Connection::After H1Connection::after_response(http::Request& r,
                                                                               H1Exchange& exchange) {
  if (exchange.taken_over()) return After::close;
  if (r.aborted || exchange.failed() || !exchange.response_complete()) return break_off(r);
  if (exchange.keepalive()) [[likely]] {
    if (!exchange.body_complete() && !drain_body(r, exchange)) [[unlikely]]
      return After::close;
    input.let_go();
    idle_timeout_ = static_cast<std::uint64_t>(r.conf<http::CoreLocation>().keepalive_timeout.get());
    doing = " while keepalive";
    if (!input.empty()) [[unlikely]] {
      input.compact();
      pipelined_ = true;
      return After::next_request;
    }
    return look_for_input();
  }
  return end_connection(r, exchange);
}

// A client that gets no answer, or that keeps the server waiting, may be told so at once.
[[gnu::noinline]] H1Connection::After H1Connection::break_off(http::Request& r) {
  const bool timed_out =
      r.out.status == http::kCloseConnection || r.find_ctx<http::ClientTimedOut>() != nullptr;
  if (timed_out && r.conf<http::CoreLocation>().reset_timedout_connection) socket.reset_on_close();
  return After::close;
}

[[gnu::noinline]] H1Connection::After H1Connection::end_connection(http::Request& r, H1Exchange& exchange) {
  const auto& core = r.conf<http::CoreLocation>();
  const bool unread = !exchange.body_complete() || !input.empty() || socket.has_input();
  const auto mode = core.lingering_close.get();
  if (mode == http::LingeringClose::always || (mode == http::LingeringClose::on && unread && !socket.hangup))
    linger(socket, core.lingering_time.get(), core.lingering_timeout.get());
  return After::close;
}

[[gnu::noinline]] H1Connection::After H1Connection::read_on() {
  input.reserve(1024);
  const net::Io io = socket.try_read(input.room());
  switch (io.kind) {
    case net::Io::Kind::ok:
      input.filled(io.bytes);
      return After::next_request;
    case net::Io::Kind::again:
      return After::idle;
    default:
      return After::close;
  }
}

// Drops the rest of a body that nobody wanted, so that the next request can be found behind it.
[[gnu::noinline]] bool H1Connection::drain_body(http::Request& r, H1Exchange& exchange) {
  const auto& core = r.conf<http::CoreLocation>();
  const std::uint64_t until = fiber::now() + static_cast<std::uint64_t>(core.lingering_time.get());
  char scratch[4096];
  while (fiber::now() < until) {
    const net::Io io = exchange.read_body(r, scratch);
    if (io.kind == net::Io::Kind::eof) return true;
    if (!io.ok()) return false;
  }
  return false;
}

}  // namespace mp::proto
