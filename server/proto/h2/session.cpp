#include "proto/h2/session.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "base/log.hpp"
#include "fiber/scheduler.hpp"
#include "http/core_conf.hpp"
#include "http/server_select.hpp"
#include "proto/h2/module.hpp"
#include "proto/h2/stream.hpp"
#include "proto/linger.hpp"

namespace mp::proto {
namespace {

const http::CoreLocation& location_conf(const http::Connection& c) {
  return c.first_server().sets.get<http::CoreLocation>();
}

fiber::Msec in(std::int64_t milliseconds) {
  return fiber::now() + static_cast<fiber::Msec>(milliseconds);
}

// How long a worker that is about to end waits for the client to close.
constexpr std::int64_t kShortLinger = 300;

const http::CoreServer& server_conf(const http::Connection& c) {
  return c.first_server().sets.get<http::CoreServer>();
}

// Of a head, whole or in part: as much as HTTP/1 keeps.
std::size_t most_of_head(const http::Connection& c) {
  const auto& buffers = server_conf(c).large_client_header_buffers.get();
  return buffers.size * buffers.count;
}

H2HeadOptions options_of(const http::CoreServer& conf) {
  H2HeadOptions options;
  options.max_fields = static_cast<unsigned>(conf.max_headers.get());
  options.ignore_odd_names = conf.ignore_invalid_headers;
  options.underscores = conf.underscores_in_headers;
  return options;
}

}  // namespace

H2Session::H2Session(http::Connection& connection, Worker& worker)
    : H2Pump(connection.socket),
      connection_(connection),
      worker_(worker),
      conf_(connection.first_server().sets.get<H2Server>()),
      head_options_(options_of(server_conf(connection))),
      most_field_(server_conf(connection).large_client_header_buffers->size),
      most_head_(most_of_head(connection)) {
  connection_.is_http2 = true;
}

H2Session::~H2Session() {
  if (counted_waiting_) worker_.counters().waiting.sub();
}

// ---- life

void H2Session::start(std::string read_ahead) {
  begin();
  connection_.doing = " while processing HTTP/2 connection";
  connection_.requests = 0;
  if (location_conf(connection_).tcp_nodelay) connection_.socket.set_nodelay();
  send_settings();
  std::string_view frames = read_ahead;
  if (frames.starts_with(kH2Preface)) frames.remove_prefix(kH2Preface.size());
  const bool fed = !frames.empty();
  take_input(frames);
  read_ahead =
      {};  // nothing of the heap is held while this fiber waits: it may be left at the end of the process
  read_ahead.shrink_to_fit();
  if (worker_.shutting_down()) go_away(H2Error::none);
  run(fed);
}

void H2Session::input_ready() {
  if (dead()) return;
  if (!pumping() && streams_.empty()) ++idle_wakeups_;
  schedule();
}

// The worker ends: no new requests; those that run are finished.
void H2Session::close_if_idle() {
  go_away(H2Error::none);
  schedule();
}

void H2Session::cancel() {
  for (const H2StreamList::Entry& entry : streams_.copy()) entry.stream->cancel();
  break_off();
  cancel_pump();
  schedule();
}

// A head, or its rest, is to come: the client has so much time for it.
bool H2Session::head_comes() const {
  return (head_open_ || reader_.holds(H2Type::headers)) && !head_given_up_ && !going_away_;
}

// The time of an idle connection is over, or that of a head.
void H2Session::expired() {
  if (head_comes()) {
    log::info(connection_.logger, log::Errno{ETIMEDOUT}, "client timed out");
    head_given_up_ = had_stream_ = true;
    const HeadKind kind = std::exchange(head_kind_, HeadKind::ignored);
    if (kind == HeadKind::ignored) {
      fail(H2Error::protocol);
    } else if (H2Stream* stream = streams_.find(head_id_)) {
      kill(*stream, H2Error::protocol, true);
    } else {
      last_id_ = head_id_;
      reset_stream(head_id_, H2Error::protocol, true);
    }
    return schedule();
  }
  if (!had_stream_) log::info(connection_.logger, log::Errno{ETIMEDOUT}, "client timed out");
  go_away(had_stream_ ? H2Error::none : H2Error::protocol);
  schedule();
}

void H2Session::ended(H2Stream& stream) {
  streams_.remove(stream.id());
  forget_wait(stream);
  if (body_of_ == &stream) body_of_ = nullptr;
  schedule();
}

// ---- what the pump asks

std::span<char> H2Session::scratch() {
  return worker_.scratch(worker_.configuration().root().get<H2Main>().recv_buffer_size);
}

fiber::Msec H2Session::send_timeout() const {
  return static_cast<fiber::Msec>(location_conf(connection_).send_timeout.get());
}

void H2Session::take_input(std::string_view bytes) {
  using Event = H2FrameReader::Event;
  const std::size_t size = bytes.size();
  new_streams_ = 0;
  while (!closing_ && !dead()) {
    const Event event = reader_.next(bytes);
    if (event == Event::none) break;
    if (event == Event::begins) {
      frame_begins(reader_.head());
    } else if (event == Event::data) {
      data_came();
    } else {
      frame_came(reader_.head(), reader_.payload());
    }
  }
  // The time of a head runs from its first bytes.
  const bool head = head_comes();
  if (head && !head_waited_for_) disarm();
  head_waited_for_ = head;
  check_flood(size);
}

void H2Session::check_flood(std::size_t bytes) {
  input_bytes_ += bytes;
  if (closing_ || dead()) return;
  // nginx's measure, with less for nothing: what carries nothing may be eight times what carries something.
  constexpr std::uint64_t kFree = 256 * 1024;
  const auto requests = static_cast<std::uint64_t>(location_conf(connection_).keepalive_requests.get());
  if ((input_bytes_ + made()) / 8 > payload_bytes_ + kFree || idle_wakeups_ > 10 * requests) {
    log::info(connection_.logger, "http2 flood detected");
    fail(H2Error::none);
  }
}

void H2Session::socket_failed(const char* call, const net::Io& io) {
  if (io.kind == net::Io::Kind::timeout) {
    log::info(connection_.logger, log::Errno{ETIMEDOUT}, "client timed out");
  } else if (io.kind != net::Io::Kind::eof) {
    log::info(connection_.logger, log::Errno{io.error}, "{} failed", call);
  } else if (!streams_.empty()) {
    log::info(connection_.logger, "client prematurely closed connection");
  }
}

void H2Session::output_written() {
  if (written() >= controls_end_) {
    controls_ = acks_ = 0;
    controls_end_ = made();
  }
  if (waiting_.empty()) return;
  // A stream that is woken comes back to the list when it still has to wait.
  const std::vector<H2Stream*> all = std::exchange(waiting_, {});
  for (H2Stream* stream : all) stream->kernel_took();
}

// Everything was said, and nobody is left.
bool H2Session::finished() const {
  if (dead()) return true;
  if (!streams_.empty() || !output_empty()) return false;
  return going_away_ || peer_leaves_;
}

// Closing with unread input would make the kernel send RST, which may destroy what is on its way.
void H2Session::say_goodbye() {
  const auto& core = location_conf(connection_);
  if (core.lingering_close == http::LingeringClose::off || connection_.socket.hangup) return break_off();
  const bool hurry = worker_.shutting_down();
  linger(connection_.socket, hurry ? kShortLinger : core.lingering_time.get().value,
         hurry ? kShortLinger : core.lingering_timeout.get().value);
  break_off();
}

// After the pump: waits for the next bytes, or is at its end.
void H2Session::settled() {
  if (finished()) {
    if (streams_.empty()) delete &connection_;
    return;
  }
  if (connection_.socket.has_input() && !closing_) return schedule();
  wait_for_client();
}

// How long for, with nobody reading meanwhile.
void H2Session::wait_for_client() {
  const bool idle = streams_.empty();
  if (!idle && !head_comes()) return disarm();
  if (idle && !std::exchange(counted_waiting_, true)) worker_.counters().waiting.add();
  if (armed()) return;  // the time runs already
  const auto& server = connection_.first_server().sets.get<http::CoreServer>();
  const bool kept = had_stream_ && !head_comes();
  const std::int64_t timeout = kept ? location_conf(connection_).keepalive_timeout.get().value
                                    : server.client_header_timeout.get().value;
  fiber::here()->arm(*this, in(timeout));
}

// ---- ends

void H2Session::go_away(H2Error error) {
  if (going_away_ || dead()) return;
  going_away_ = true;
  constexpr std::uint32_t kSize = 8;
  char* const p = output_.reserve(kH2FrameHead + kSize);
  h2_put32(h2_put32(H2FrameHead{kSize, H2Type::goaway}.write(p), last_id_),
           static_cast<std::uint32_t>(error));
  output_.grew(kH2FrameHead + kSize);
}

void H2Session::fail(H2Error error) {
  if (closing_) return;
  going_away_ = false;  // the client may have been told of a good end
  go_away(error);
  closing_ = true;
  abort_streams();
}

// For the client the stream is over, by its own doing: bounded as if it had reset it.
void H2Session::kill(H2Stream& stream, H2Error error, bool more_to_come) {
  if (!reset_allowed()) return mistake(H2Error::enhance_your_calm, "client made too many streams be reset");
  reset_stream(stream.id(), error, more_to_come);
  stream.closed();
}

void H2Session::abort_streams() {
  // Those that have no fiber yet end here, and leave the list.
  for (const H2StreamList::Entry& entry : streams_.copy()) entry.stream->break_off();
}

}  // namespace mp::proto
