// What the session makes of the client's frames (RFC 9113 section 6): each is checked, and has its effect.
// Heads are in session_heads.
#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "fiber/scheduler.hpp"
#include "proto/h2/session.hpp"
#include "proto/h2/stream.hpp"

namespace mp::proto {

void H2Session::frame_begins(const H2FrameHead& frame) {
  // What is kept as a whole; heads have a limit of their own.
  constexpr std::uint32_t kMostControl = 16384;
  const auto type = static_cast<unsigned>(frame.type);
  const bool handed_on =
      frame.comes_in_parts() || frame.type == H2Type::headers || frame.type == H2Type::continuation;
  if (frame.length > (settings_known_ && handed_on ? kH2MostFrame : kMostControl)) {
    return mistake(H2Error::frame_size, "client sent too large frame of type {}: {} bytes", type,
                   frame.length);
  }
  if (head_open_ && (frame.type != H2Type::continuation || frame.stream != head_id_)) {
    return mistake(H2Error::protocol, "client sent inappropriate frame while CONTINUATION was expected");
  }
  switch (frame.type) {
    case H2Type::data:
      return data_begins(frame);
    case H2Type::headers:
      return headers_begin(frame);
    case H2Type::continuation:
      return continuation_begins(frame);
    case H2Type::push_promise:
      return mistake(H2Error::protocol, "client sent PUSH_PROMISE frame");
    default:
      return;
  }
}

void H2Session::frame_came(const H2FrameHead& frame, std::string_view payload) {
  switch (frame.type) {
    case H2Type::headers:
      return headers_came(frame, payload);
    case H2Type::continuation:
      return continuation_came(frame, payload);
    case H2Type::priority:
      return priority_came(frame, payload);
    case H2Type::rst_stream:
      return reset_came(frame, payload);
    case H2Type::settings:
      return settings_came(frame, payload);
    case H2Type::ping:
      return ping_came(frame, payload);
    case H2Type::goaway:
      return goaway_came(frame);
    case H2Type::window_update:
      return window_came(frame, payload);
    default:
      return;
  }
}

// ---- checks

bool H2Session::has_size(const H2FrameHead& frame, std::uint32_t size) {
  if (frame.length == size) return true;
  mistake(H2Error::frame_size, "client sent frame of type {} with incorrect length {}",
          static_cast<unsigned>(frame.type), frame.length);
  return false;
}

// A frame is of one stream, or of the connection.
bool H2Session::is_for(const H2FrameHead& frame, bool a_stream) {
  if ((frame.stream != 0) == a_stream) return true;
  mistake(H2Error::protocol, "client sent frame of type {} with incorrect identifier {}",
          static_cast<unsigned>(frame.type), frame.stream);
  return false;
}

// ---- DATA

void H2Session::data_begins(const H2FrameHead& frame) {
  body_of_ = nullptr;
  if (!is_for(frame, true)) return;
  if (frame.has(h2_flag::kPadded) && frame.length == 0) {
    return mistake(H2Error::frame_size, "client sent padded DATA frame with incorrect length: 0");
  }
  if (frame.length > input_window_) {
    return mistake(
        H2Error::flow_control,
        "client violated connection flow control: received DATA frame length {}, available window {}",
        frame.length, input_window_);
  }
  input_window_ -= frame.length;
  if (input_window_ < static_cast<std::int64_t>(kMaxH2Window / 2)) {
    open_window(0, static_cast<std::uint32_t>(static_cast<std::int64_t>(kMaxH2Window) - input_window_));
    input_window_ = kMaxH2Window;
  }
  if (is_idle(frame.stream)) {
    return mistake(H2Error::protocol, "client sent DATA frame for idle stream {}", frame.stream);
  }
  H2Stream* stream = streams_.find(frame.stream);
  // Of a stream that is over, something may still have been on its way.
  if (stream == nullptr || !stream->open()) return;
  if (stream->input_over()) {
    log::info(stream->logger, "client sent DATA frame for half-closed stream {}", frame.stream);
    return kill(*stream, H2Error::stream_closed, !frame.has(h2_flag::kEndStream));
  }
  if (!stream->take_window(frame.length)) {
    log::info(stream->logger, "client violated flow control for stream {}: received DATA frame length {}",
              frame.stream, frame.length);
    return kill(*stream, H2Error::flow_control, !frame.has(h2_flag::kEndStream));
  }
  body_of_ = stream;
}

void H2Session::data_came() {
  const H2FrameHead& frame = reader_.head();
  if (!frame.is_known()) return;
  if (reader_.complete() && reader_.padding() > frame.length) {
    return mistake(H2Error::protocol, "client sent padded DATA frame with incorrect length: {}, padding: {}",
                   frame.length, reader_.padding() - 1);
  }
  if (body_of_ == nullptr) return;
  const std::string_view bytes = reader_.payload();
  payload_bytes_ += bytes.size();
  if (!bytes.empty()) body_of_->input(bytes);
  if (!reader_.complete()) return;
  H2Stream& stream = *std::exchange(body_of_, nullptr);
  if (frame.has(h2_flag::kEndStream)) {
    stream.input_ended();
  } else if (reader_.padding() > 0) {
    stream.consumed(reader_.padding());
  }
}

// ---- the others of streams

void H2Session::priority_came(const H2FrameHead& frame, std::string_view payload) {
  if (!is_for(frame, true) || !has_size(frame, 5)) return;
  if ((h2_get32(payload.data()) & 0x7fffffff) == frame.stream) {
    mistake(H2Error::protocol, "client sent PRIORITY frame for stream {} with incorrect dependency",
            frame.stream);
  }
}

void H2Session::reset_came(const H2FrameHead& frame, std::string_view payload) {
  if (!is_for(frame, true) || !has_size(frame, 4)) return;
  if (is_idle(frame.stream)) {
    return mistake(H2Error::protocol, "client sent RST_STREAM frame for idle stream {}", frame.stream);
  }
  if (!reset_allowed()) return mistake(H2Error::enhance_your_calm, "client sent too many RST_STREAM frames");
  H2Stream* stream = streams_.find(frame.stream);
  if (stream != nullptr && stream->open()) stream->reset(h2_get32(payload.data()));
}

// So many at once, and so many a second.
bool H2Session::reset_allowed() {
  constexpr unsigned kPerSecond = 33;
  constexpr fiber::Msec kSecond = 1000;
  const fiber::Msec seconds = std::min<fiber::Msec>((fiber::now() - resets_since_) / kSecond, kResetsAtOnce);
  if (seconds > 0) {
    resets_left_ = std::min(kResetsAtOnce, resets_left_ + kPerSecond * static_cast<unsigned>(seconds));
    resets_since_ = fiber::now();
  }
  if (resets_left_ == 0) return false;
  --resets_left_;
  return true;
}

void H2Session::window_came(const H2FrameHead& frame, std::string_view payload) {
  if (!has_size(frame, 4)) return;
  const std::int64_t bytes = h2_get32(payload.data()) & 0x7fffffff;
  if (frame.stream == 0) {
    if (bytes == 0) {
      return mistake(H2Error::protocol, "client sent WINDOW_UPDATE frame with incorrect window increment 0");
    }
    output_window_ += bytes;
    if (output_window_ > static_cast<std::int64_t>(kMaxH2Window)) {
      return mistake(H2Error::flow_control,
                     "client violated connection flow control: received WINDOW_UPDATE "
                     "frame with window increment {}",
                     bytes);
    }
    while (!blocked_.empty()) ready_.push(blocked_.pop());
    return;
  }
  if (is_idle(frame.stream)) {
    return mistake(H2Error::protocol, "client sent WINDOW_UPDATE frame for idle stream {}", frame.stream);
  }
  H2Stream* stream = streams_.find(frame.stream);
  if (stream == nullptr || !stream->open()) return;
  if (bytes == 0) {
    log::info(stream->logger, "client sent WINDOW_UPDATE frame with incorrect window increment 0");
    return kill(*stream, H2Error::protocol, true);
  }
  if (stream->open_output(bytes)) return;
  log::info(
      stream->logger,
      "client violated flow control for stream {}: received WINDOW_UPDATE frame with window increment {}",
      frame.stream, bytes);
  kill(*stream, H2Error::flow_control, true);
}

// ---- of the connection

void H2Session::ping_came(const H2FrameHead& frame, std::string_view payload) {
  if (!is_for(frame, false) || !has_size(frame, 8) || frame.has(h2_flag::kAck)) return;
  control(H2Type::ping, h2_flag::kAck, 0, payload);
}

// Requests that run are answered, and new ones too, as long as there are any. The stream that it names would
// be one of the server's, which has none.
void H2Session::goaway_came(const H2FrameHead& frame) {
  constexpr std::uint32_t kLeast = 8;
  if (!is_for(frame, false) || (frame.length < kLeast && !has_size(frame, kLeast))) return;
  peer_leaves_ = true;
}

void H2Session::settings_came(const H2FrameHead& frame, std::string_view payload) {
  constexpr std::size_t kEntry = 6;
  constexpr std::size_t kMost = 32;
  if (!is_for(frame, false)) return;
  if (frame.has(h2_flag::kAck)) {
    if (!payload.empty()) {
      return mistake(H2Error::frame_size, "client sent SETTINGS frame with the ACK flag and nonzero length");
    }
    if (settings_known_)
      return mistake(H2Error::protocol, "client sent SETTINGS frame with unexpected ACK flag");
    return settings_acknowledged();
  }
  if (payload.size() % kEntry != 0) {
    return mistake(H2Error::frame_size, "client sent SETTINGS frame with incorrect length {}",
                   payload.size());
  }
  if (payload.size() > kMost * kEntry) {
    return mistake(H2Error::enhance_your_calm, "client sent SETTINGS frame with too many values");
  }
  for (; !payload.empty(); payload.remove_prefix(kEntry)) {
    const auto setting = static_cast<H2Setting>(h2_get32(payload.data()) >> 16);
    if (!apply_setting(setting, h2_get32(payload.data() + 2))) return;
  }
  if (priorities_off_ < 0) priorities_off_ = 0;
  control(H2Type::settings, h2_flag::kAck, 0, {});
}

bool H2Session::apply_setting(H2Setting setting, std::uint32_t value) {
  bool right = true;
  switch (setting) {
    case H2Setting::header_table_size:
      encoder_.set_table_size(value);
      break;
    case H2Setting::enable_push:
    case H2Setting::enable_connect_protocol:
      right = value <= 1;
      break;
    case H2Setting::initial_window_size:
      return change_output_windows(value);
    case H2Setting::max_frame_size:
      right = value >= kH2FirstFrame && value <= kH2MostFrame;
      if (right) longest_frame_ = value;
      break;
    case H2Setting::no_rfc7540_priorities:
      // RFC 9218 2.1: not to be changed later.
      right = value <= 1 && (priorities_off_ < 0 || priorities_off_ == static_cast<std::int8_t>(value));
      if (right) priorities_off_ = static_cast<std::int8_t>(value);
      break;
    default:
      break;
  }
  if (!right) {
    mistake(H2Error::protocol, "client sent SETTINGS frame with incorrect value {} of {}", value,
            static_cast<unsigned>(setting));
  }
  return right;
}

// RFC 9113 6.9.2: what the streams may be sent changes by the difference.
bool H2Session::change_output_windows(std::uint32_t value) {
  bool right = value <= kMaxH2Window;
  const std::int64_t more = std::int64_t{value} - first_output_window_;
  for (const H2StreamList::Entry& entry : streams_) {
    right = right && (!entry.stream->open() || entry.stream->open_output(more));
  }
  first_output_window_ = value;
  if (!right) {
    mistake(H2Error::flow_control, "client sent SETTINGS frame with incorrect INITIAL_WINDOW_SIZE value {}",
            value);
  }
  return right;
}

// From now on the client keeps to the windows it was told.
void H2Session::settings_acknowledged() {
  settings_known_ = true;
  const std::int64_t more = std::int64_t{first_window()} - kH2FirstWindow;
  for (const H2StreamList::Entry& entry : streams_) entry.stream->change_input(more);
}

}  // namespace mp::proto
