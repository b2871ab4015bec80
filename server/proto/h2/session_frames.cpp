// What the session does with frames: settings, new requests, and what bounds them.
#include <algorithm>
#include <iterator>
#include <utility>

#include "base/log.hpp"
#include "fiber/scheduler.hpp"
#include "http/core_conf.hpp"
#include "http/server_select.hpp"
#include "proto/h2/module.hpp"
#include "proto/h2/session.hpp"
#include "proto/h2/stream.hpp"

namespace mp::proto {
namespace {

constexpr std::uint32_t kMostFrame = (1 << 24) - 1;
constexpr std::size_t kMostControlFrame = 16384;

}  // namespace

// ---- settings

void H2Session::send_settings() {
  const nghttp2_settings_entry entries[] = {
      // These two first: see frame_made().
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, kMaxH2Window},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, first_window() + window_grace()},
      // As in nginx: there are clients that count on it.
      {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, kMostFrame},
      {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
  };
  nghttp2_submit_settings(engine_, NGHTTP2_FLAG_NONE, entries, std::size(entries));
  // Only the windows of the streams hold clients back.
  nghttp2_session_set_local_window_size(engine_, NGHTTP2_FLAG_NONE, 0, kMaxH2Window);
}

std::uint32_t H2Session::first_window() const {
  return static_cast<std::uint32_t>(conf_.body_preread_size.get().value);
}

std::uint32_t H2Session::window_grace() const {
  constexpr std::uint32_t kMost = 64 * 1024;
  return std::min({first_window() / 8, kMost, static_cast<std::uint32_t>(kMaxH2Window) - first_window()});
}

// What the engine says otherwise than it is meant.
bool H2Session::frame_made(char* frame, std::size_t size) {
  if (size < kH2FrameHead || frame[3] != NGHTTP2_SETTINGS) return true;
  // It would end the connection for one stream too many; head_begins() refuses the stream alone. So it knows
  // no limit, and the client is told the true one here.
  if (!std::exchange(settings_made_, true)) {
    constexpr std::size_t kValue = kH2FrameHead + 2;
    const auto limit = static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(conf_.max_concurrent_streams.get(), 0, std::int64_t{0xffffffff}));
    constexpr std::size_t kNext = 6;
    for (int i = 0; i < 4; ++i) {
      frame[kValue + i] = static_cast<char>(limit >> (24 - 8 * i));
      frame[kValue + kNext + i] = static_cast<char>(first_window() >> (24 - 8 * i));
    }
    return true;
  }
  // The acknowledgement of the settings that start() made up.
  return (frame[4] & NGHTTP2_FLAG_ACK) == 0 || std::exchange(ack_dropped_, true);
}

// ---- input

int H2Session::frame_begins(const nghttp2_frame_hd& frame) {
  // The engine keeps some of these as a whole; bodies and heads it hands on as they come.
  const bool handed_on =
      frame.type == NGHTTP2_DATA || frame.type == NGHTTP2_HEADERS || frame.type == NGHTTP2_CONTINUATION;
  if (!handed_on && frame.length > kMostControlFrame) {
    log::info(connection_.logger, "client sent too large frame of type {}: {} bytes", frame.type,
              frame.length);
    fail(NGHTTP2_FRAME_SIZE_ERROR);
  }
  if (frame.type == NGHTTP2_CONTINUATION) {
    head_block_ += frame.length;
    return 0;
  }
  head_open_ = false;
  if (frame.type == NGHTTP2_PUSH_PROMISE) {
    log::info(connection_.logger, "client sent PUSH_PROMISE frame");
    fail(NGHTTP2_PROTOCOL_ERROR);
  }
  if (frame.type != NGHTTP2_HEADERS) return 0;
  head_block_ = frame.length;
  head_open_ = !going_away_;
  const std::int32_t id = frame.stream_id;
  if (closing_ || id > last_id_ || id == 0 || was_reset(id)) return 0;
  if (id % 2 == 1 && nghttp2_session_find_stream(engine_, id) != nullptr) return 0;
  log::info(connection_.logger, "client sent HEADERS frame with incorrect identifier {}, the last was {}", id,
            last_id_);
  fail(NGHTTP2_PROTOCOL_ERROR);
  return 0;
}

// A client may have sent more to a stream before it heard that it was reset.
bool H2Session::was_reset(std::int32_t id) const {
  return std::find(std::begin(resets_), std::end(resets_), id) != std::end(resets_);
}

int H2Session::head_begins(const nghttp2_frame& frame) {
  const std::int32_t id = frame.hd.stream_id;
  if (frame.headers.cat != NGHTTP2_HCAT_REQUEST || closing_ || dead()) return 0;
  last_id_ = id;
  const auto limit = static_cast<std::size_t>(std::max<std::int64_t>(conf_.max_concurrent_streams.get(), 0));
  if (streams_.size() >= limit) {
    log::info(connection_.logger, "concurrent streams exceeded {}", streams_.size());
    refuse_stream(id);
    return 0;
  }
  if (new_streams_++ >= 2 * limit) {
    log::info(connection_.logger, "client sent too many streams at once");
    refuse_stream(id);
    return 0;
  }
  ++connection_.requests;
  had_stream_ = true;
  disarm();
  if (std::exchange(counted_waiting_, false)) worker_.counters().waiting.sub();
  head_room_ = most_head_;
  auto* stream = new H2Stream(*this, id);
  streams_.push_back(stream);
  nghttp2_session_set_stream_user_data(engine_, id, stream);
  last_used_ = stream;
  check_keepalive(id);
  return 0;
}

void H2Session::refuse_stream(std::int32_t id) {
  const auto limit =
      static_cast<std::uint64_t>(std::max<std::int64_t>(conf_.max_concurrent_streams.get(), 100));
  if (refused_++ > limit) {
    log::info(connection_.logger, "client sent too many refused streams");
    return fail(NGHTTP2_NO_ERROR);
  }
  reset_stream(id, NGHTTP2_REFUSED_STREAM, true);
}

void H2Session::reset_stream(std::int32_t id, std::uint32_t error, bool more_to_come) {
  if (dead()) return;
  if (more_to_come) resets_[next_reset_++ % kResetsKept] = id;
  nghttp2_submit_rst_stream(engine_, NGHTTP2_FLAG_NONE, id, error);
}

// The last request of a connection that has had its share of time or requests.
void H2Session::check_keepalive(std::int32_t id) {
  const auto& core = connection_.first_server().sets.get<http::CoreLocation>();
  const auto age = static_cast<std::int64_t>(fiber::now() - connection_.started_msec);
  if (core.keepalive_timeout == 0 ||
      connection_.requests >= static_cast<std::uint64_t>(core.keepalive_requests.get()) ||
      age > core.keepalive_time) {
    last_id_ = id;
    go_away(NGHTTP2_NO_ERROR);
  }
}

int H2Session::field_came(H2Stream* stream, std::string_view name, std::string_view value) {
  if (stream == nullptr || closing_) return 0;
  if (field_fits(*stream, name.size(), value.size())) {
    stream->field(name, value);
  } else {
    fail(NGHTTP2_ENHANCE_YOUR_CALM);
  }
  return 0;
}

bool H2Session::field_fits(const H2Stream& stream, std::size_t name, std::size_t value) {
  if (name > most_field_ || value > most_field_) {
    log::info(stream.logger, "client sent too large header field");
    return false;
  }
  if (name + value > head_room_) {
    log::info(stream.logger, "client sent too large header");
    return false;
  }
  head_room_ -= name + value;
  return true;
}

void H2Session::body_came(H2Stream* stream, std::string_view bytes) {
  nghttp2_session_consume_connection(engine_, bytes.size());
  if (stream == nullptr || closing_) return;
  payload_bytes_ += bytes.size();
  stream->input(bytes);
}

void H2Session::frame_came(const nghttp2_frame& frame) {
  if (frame.hd.type == NGHTTP2_HEADERS) head_open_ = false;
  if (closing_ || dead()) return;
  H2Stream* stream = this->stream(frame.hd.stream_id);
  if (stream == nullptr) return;
  const bool ended = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  switch (frame.hd.type) {
    case NGHTTP2_HEADERS:
      if (frame.headers.cat == NGHTTP2_HCAT_REQUEST) {
        payload_bytes_ += head_block_;
        return stream->head_complete(ended, head_block_ - frame.headers.padlen);
      }
      // Trailers: their end is the body's.
      if (ended) return stream->input_ended();
      log::info(stream->logger, "client sent trailers without the end of the stream");
      return reset_stream(frame.hd.stream_id, NGHTTP2_PROTOCOL_ERROR, true);
    case NGHTTP2_DATA:
      if (ended) stream->input_ended();
      return;
    case NGHTTP2_RST_STREAM:
      return stream->reset(frame.rst_stream.error_code);
    default:
      return;
  }
}

void H2Session::frame_is_invalid(const nghttp2_frame& frame, int error) {
  log::info(connection_.logger, "client sent invalid HTTP/2 frame of type {}: {}", frame.hd.type,
            nghttp2_strerror(error));
}

// ---- output

void H2Session::frame_sent(const nghttp2_frame& frame) {
  total_bytes_ += kH2FrameHead + frame.hd.length;
  if (frame.hd.type == NGHTTP2_GOAWAY && !going_away_) engine_left_ = true;
  if (frame.hd.type != NGHTTP2_DATA && frame.hd.type != NGHTTP2_HEADERS) return;
  payload_bytes_ += frame.hd.length;
  H2Stream* stream = this->stream(frame.hd.stream_id);
  if (stream == nullptr) return;
  // A DATA frame lies in the buffer already; any other is put there when the engine returns.
  const std::uint64_t end = frame.hd.type == NGHTTP2_DATA ? made() : made() + kH2FrameHead + frame.hd.length;
  stream->frame_sent(frame.hd, end);
}

int H2Session::make_data(H2Stream* stream, const std::uint8_t* frame_head, std::size_t size) {
  return send_data(
      size, [&](OutputBuffer& out) { return stream != nullptr && stream->take(frame_head, size, out); });
}

}  // namespace mp::proto
