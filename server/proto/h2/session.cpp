#include "proto/h2/session.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <new>
#include <utility>

#include "base/log.hpp"
#include "fiber/scheduler.hpp"
#include "http/core_conf.hpp"
#include "http/server_select.hpp"
#include "proto/h2/callbacks.hpp"
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
    : H2Pump(connection.socket, most_of_head(connection)),
      connection_(connection),
      worker_(worker),
      conf_(connection.first_server().sets.get<H2Server>()),
      head_options_(options_of(server_conf(connection))),
      most_field_(server_conf(connection).large_client_header_buffers->size),
      most_head_(most_of_head(connection)) {
  if (nghttp2_session_server_new3(&engine_, H2Callbacks::table(), this, H2Callbacks::options(),
                                  H2Callbacks::memory()) != 0) {
    throw std::bad_alloc();
  }
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
  // The engine insists on SETTINGS as the client's first frame; some clients, those of nginx's tests among
  // them, have nothing to set. These are empty, and their acknowledgement is not sent.
  constexpr std::string_view kNoSettings("\0\0\0\4\0\0\0\0\0", kH2FrameHead);
  (void)(give(kH2Preface) && give(kNoSettings));
  std::string_view frames = read_ahead;
  if (frames.starts_with(kH2Preface)) frames.remove_prefix(kH2Preface.size());
  if (!frames.empty()) feed(frames);
  read_ahead =
      {};  // nothing of the heap is held while this fiber waits: it may be left at the end of the process
  read_ahead.shrink_to_fit();
  if (worker_.shutting_down()) go_away(NGHTTP2_NO_ERROR);
  run();
}

void H2Session::input_ready() {
  if (dead()) return;
  if (!pumping()) ++idle_wakeups_;
  schedule();
}

// The worker ends: no new requests; those that run are finished.
void H2Session::close_if_idle() {
  go_away(NGHTTP2_NO_ERROR);
  schedule();
}

void H2Session::cancel() {
  const std::vector<H2Stream*> all = streams_;
  for (H2Stream* stream : all) stream->cancel();
  break_off();
  cancel_pump();
  schedule();
}

// The time of an idle connection is over, or that of a head.
void H2Session::expired() {
  if (std::exchange(head_held_, false)) give_held();
  if (std::exchange(head_open_, false)) {
    const auto late = std::find_if(streams_.begin(), streams_.end(),
                                   [](const H2Stream* stream) { return !stream->running(); });
    log::info(connection_.logger, log::Errno{ETIMEDOUT}, "client timed out");
    if (late != streams_.end()) {
      reset_stream((*late)->id(), NGHTTP2_PROTOCOL_ERROR, true);
      (*late)->break_off();
    } else {
      fail(NGHTTP2_PROTOCOL_ERROR);
    }
    return schedule();
  }
  if (!had_stream_) log::info(connection_.logger, log::Errno{ETIMEDOUT}, "client timed out");
  go_away(had_stream_ ? NGHTTP2_NO_ERROR : NGHTTP2_PROTOCOL_ERROR);
  schedule();
}

void H2Session::ended(H2Stream& stream) {
  // The first ones usually: found at once, and the rest moved as a whole.
  const auto at = std::find(streams_.begin(), streams_.end(), &stream);
  if (at != streams_.end()) streams_.erase(at);
  forget_wait(stream);
  forget_head(stream);
  if (last_used_ == &stream) last_used_ = nullptr;
  if (engine() != nullptr && stream.id() > 0) {
    nghttp2_session_set_stream_user_data(engine_, stream.id(), nullptr);
  }
  schedule();
}

void H2Session::forget_wait(H2Stream& stream) {
  std::erase(waiting_, &stream);
}

// ---- what the pump asks

std::span<char> H2Session::scratch() {
  return worker_.scratch(worker_.configuration().root().get<H2Main>().recv_buffer_size);
}

fiber::Msec H2Session::send_timeout() const {
  return static_cast<fiber::Msec>(location_conf(connection_).send_timeout.get());
}

void H2Session::input_came(std::size_t bytes) {
  // The time of a head runs from its first bytes.
  if (holds_head() && !head_held_) disarm();
  head_held_ = holds_head();
  new_streams_ = 0;
  total_bytes_ += bytes;
  if (closing_ || dead()) return;
  // nginx's measure, with less for nothing: what carries nothing may be eight times what carries something.
  constexpr std::uint64_t kFree = 256 * 1024;
  const auto requests = static_cast<std::uint64_t>(location_conf(connection_).keepalive_requests.get());
  if (total_bytes_ / 8 > payload_bytes_ + kFree || idle_wakeups_ > 10 * requests) {
    log::info(connection_.logger, "http2 flood detected");
    fail(NGHTTP2_NO_ERROR);
  }
}

void H2Session::input_failed(int error) {
  if (error == NGHTTP2_ERR_BAD_CLIENT_MAGIC) {
    log::info(connection_.logger, "invalid connection preface");
  } else if (error == NGHTTP2_ERR_FLOODED) {
    log::info(connection_.logger, "http2 flood detected");
  } else {
    log::info(connection_.logger, "HTTP/2 client: {}", nghttp2_strerror(error));
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

void H2Session::output_begins() {
  while (!heads_.empty()) heads_.front()->submit_head();
}

void H2Session::output_written() {
  if (std::exchange(engine_left_, false)) {
    going_away_ = closing_ = true;
    abort_streams();
  }
  // A stream that is woken comes back to the list when it still has to wait.
  const std::vector<H2Stream*> all = std::exchange(waiting_, {});
  for (H2Stream* stream : all) stream->kernel_took();
}

// Everything was said, and nobody is left.
bool H2Session::finished() const {
  if (dead()) return true;
  if (!streams_.empty() || !output_empty()) return false;
  return (going_away_ || nghttp2_session_want_read(engine_) == 0) && nghttp2_session_want_write(engine_) == 0;
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

void H2Session::go_away(std::uint32_t error) {
  if (going_away_ || dead()) return;
  going_away_ = true;
  nghttp2_submit_goaway(engine_, NGHTTP2_FLAG_NONE, last_id_, error, nullptr, 0);
}

void H2Session::fail(std::uint32_t error) {
  go_away(error);
  closing_ = true;
  abort_streams();
}

void H2Session::abort_streams() {
  // Those that have no fiber yet end here, and leave the list.
  const std::vector<H2Stream*> all = streams_;
  for (H2Stream* stream : all) stream->break_off();
}

}  // namespace mp::proto
