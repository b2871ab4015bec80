#include "proto/h2/stream.hpp"

#include <algorithm>
#include <cerrno>

#include "base/block_pool.hpp"
#include "base/sanitizer.hpp"
#include "fiber/scheduler.hpp"
#include "http/core_conf.hpp"
#include "http/engine.hpp"
#include "http/server_select.hpp"
#include "http/ssl_connection.hpp"
#include "proto/h2/module.hpp"

namespace mp::proto {
namespace {

[[maybe_unused]] constinit thread_local BlockPool pool(sizeof(H2Stream));

}  // namespace

// ---- life

// Sanitizers see uses of what was freed only if it was.
#if defined(MP_ASAN)
void* H2Stream::operator new(std::size_t size) {
  return ::operator new(size);
}
void H2Stream::operator delete(void* block) {
  ::operator delete(block);
}
#else
void* H2Stream::operator new(std::size_t) {
  return pool.take();
}
void H2Stream::operator delete(void* block) {
  pool.give_back(block);
}
#endif

// Before the request is made, which copies some of this.
H2Session& H2Stream::prepare(H2Session& session) {
  http::Connection& c = session.connection();
  carrier = &c;
  number = c.number;
  requests = c.requests;
  started_msec = c.started_msec;
  address = c.address;
  client = c.client;
  proxy_protocol = c.proxy_protocol;
  is_tls = c.is_tls;
  is_http2 = true;
  logger = c.logger;
  logger.subject = this;
  doing = " while reading client request headers";
  return session;
}

H2Stream::H2Stream(H2Session& session, std::uint32_t id)
    : session_(prepare(session)),
      id_(id),
      request_(*this, *this),
      head_(request_.arena, session.head_options(), &session.last_host()),
      input_window_(session.input_window()),
      window_wanted_(session.input_window()),
      output_window_(session.first_output_window()) {
  request_.exchange = this;
  request_.server = &first_server();
  request_.sets = request_.server->sets;
  request_.version = http::Version::http20;
  request_.enter_set(*request_.sets[conf::Level::location]);
}

H2Stream::~H2Stream() {
  if (counts_writing_) session_.worker().counters().writing.sub();
}

// ---- the head

void H2Stream::head_complete(bool ended, std::uint64_t block_size) {
  head_.finish(ended);
  input_ended_ = ended;
  request_.chunked_in = !ended && head_.content_length < 0;
  request_.head_size = block_size;
  started_ = true;
  fiber::spawn_later([](void* self) { static_cast<H2Stream*>(self)->run(); }, this);
}

void H2Stream::apply_head() {
  http::Request& r = request_;
  r.method = head_.method;
  r.method_text = head_.method_name;
  r.request_line = head_.request_line;
  r.raw_uri = head_.path;
  r.in.adopt(head_.fields.all().data(), head_.fields.size(), head_.fields.capacity());
  r.content_length_in = head_.content_length;
  if (head_.host) {
    r.host = head_.host->name;
    r.host_port = head_.host->port;
  }
  if (head_.method == http::Method::connect && head_.error().status == 0) apply_upgrade();
}

// An extended CONNECT stands for the upgrade of HTTP/1.1 (RFC 8441), and is shown as one to everything above,
// so that whatever serves WebSockets there does so here.
void H2Stream::apply_upgrade() {
  http::Request& r = request_;
  upgrade_ = true;
  r.method = http::Method::get;
  r.method_text = "GET";
  r.version = http::Version::http11;
  r.request_line = r.arena.concat("GET ", head_.path, " HTTP/2.0");
  r.chunked_in = false;
  r.in.add(http::HeaderId::upgrade, "websocket");
  r.in.add(http::HeaderId::connection, "Upgrade");
  // The key proves to an HTTP/1.1 client that it talks to a WebSocket server; here nobody looks at the
  // answer.
  if (r.in.find(http::HeaderId::sec_websocket_key) == nullptr) {
    r.in.add(http::HeaderId::sec_websocket_key, "bW9vbnBoYXNlIGgyIGtleQ==");
  }
}

// ---- the request

void H2Stream::run() {
  http::Request& r = request_;
  Worker& worker = session_.worker();
  fiber::local() = {};
  fiber::local().request = &r;
  r.fiber = fiber_ = fiber::current();
  worker.counters().requests.add();
  worker.counters().writing.add();
  counts_writing_ = true;
  apply_head();
  for (const std::string_view name : head_.ignored()) {
    log::info(r.logger, "client sent invalid header: \"{}\"", name);
  }
  const bool misdirected = !r.host.empty() && !http::select_server(r, *address, r.host);
  int status = head_.error().status;
  if (status != 0) {
    log::info(r.logger, "{}", head_.error().text);
  } else if (!address->http2 && !r.server->sets.get<H2Server>().enabled) {
    log::info(r.logger,
              "client attempted to request the server name for which the negotiated protocol is disabled");
    status = 421;
  } else {
    status = misdirected ? 421 : http::check_client(r);
  }
  doing = "";
  if (!input_ended_) offer_bytes();
  continue_wanted_ = !input_ended_ && !upgrade_ && http::expects_continue(r);
  if (failed_) {
    // Reset before its turn came.
    r.aborted = true;
    r.out.status = http::kClientClosedRequest;
    http::log_request(r);
  } else if (status != 0) {
    r.keepalive = false;
    http::serve_error(r, status);
  } else {
    http::serve(r);
  }
  fiber::local().request = nullptr;
  try {
    finish();
  } catch (const fiber::Cancelled&) {
    // The worker's shutdown deadline has passed.
  }
  session_.ended(*this);
  delete this;
}

// Whatever of the stream is still open is closed.
void H2Stream::finish() {
  if (socket.is_open()) {
    socket.close();
    if (taken_over_ && open()) (void)wait_for_output(request_, true);
  }
  if (!open()) return;
  if (!end_made_) {
    const bool late = request_.out.status == 408 || timed_out_;
    session_.reset_stream(id_, late ? H2Error::protocol : H2Error::internal, !input_ended_);
  } else if (!input_ended_) {
    await_input();
    if (!input_ended_) session_.reset_stream(id_, H2Error::none, true);
  }
}

// A short body that nobody wants is on its way already. Its end may come first: there are clients (curl
// before 8.0) that take a reset behind a whole response for a failure.
void H2Stream::await_input() {
  constexpr fiber::Msec kPatience = 100;
  const auto window = static_cast<std::int64_t>(session_.conf().body_preread_size.get().value);
  if (head_.content_length < 0 || head_.content_length > window || continue_wanted_) return;
  input_unwanted_ = true;
  const fiber::Msec deadline = fiber::now() + kPatience;
  while (!input_ended_ && open()) {
    reader_ = fiber::ticket();
    const fiber::Wake why = fiber::park(deadline);
    if (why != fiber::Wake::event) reader_ = {};
    if (why == fiber::Wake::cancelled) throw fiber::Cancelled{};
    if (why == fiber::Wake::timeout) return;
  }
}

// ---- the client's end

void H2Stream::gone() {
  if (failed_) return;
  failed_ = true;
  input_ended_ = true;
  socket.hangup = socket.readable = socket.writable = true;
  fiber::wake(std::exchange(reader_, {}));
  fiber::wake(std::exchange(socket.reader, {}));
  fiber::wake(std::exchange(socket.writer, {}));
  progress_.notify_all();
  if (hangup_listener != nullptr) hangup_listener->client_gone();
}

void H2Stream::reset(std::uint32_t error) {
  switch (static_cast<H2Error>(error)) {
    case H2Error::cancel:
      log::info(request_.logger, "client canceled stream {}", id_);
      break;
    case H2Error::internal:
      log::info(request_.logger, "client terminated stream {} due to internal error", id_);
      break;
    default:
      log::info(request_.logger, "client terminated stream {} with status {}", id_, error);
      break;
  }
  closed();
}

void H2Stream::closed() {
  closed_ = true;
  leave();
  gone();
}

void H2Stream::break_off() {
  if (started_) return gone();
  // Its head has not come completely; there is no request.
  session_.ended(*this);
  delete this;
}

void H2Stream::cancel() {
  if (fiber_ != nullptr) return fiber::cancel(*fiber_);
  if (started_) gone();
}

}  // namespace mp::proto
