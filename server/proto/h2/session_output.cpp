// What the session says: its own frames, and those of the streams in turns.
#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "base/log.hpp"
#include "fiber/scheduler.hpp"
#include "proto/h2/module.hpp"
#include "proto/h2/session.hpp"
#include "proto/h2/stream.hpp"

namespace mp::proto {

// ---- frames of the connection

void H2Session::send_settings() {
  const std::pair<H2Setting, std::uint32_t> settings[] = {
      {H2Setting::max_concurrent_streams,
       static_cast<std::uint32_t>(
           std::clamp<std::int64_t>(conf_.max_concurrent_streams.get(), 0, std::int64_t{0xffffffff}))},
      {H2Setting::initial_window_size, first_window()},
      // As in nginx: there are clients that count on it.
      {H2Setting::max_frame_size, kH2MostFrame},
      {H2Setting::enable_connect_protocol, 1},
      {H2Setting::no_rfc7540_priorities, 1},
  };
  char payload[std::size(settings) * 6];
  char* p = payload;
  for (const auto& [setting, value] : settings) {
    *p++ = 0;
    *p++ = static_cast<char>(setting);
    p = h2_put32(p, value);
  }
  control(H2Type::settings, 0, 0, {payload, sizeof payload});
  // Only the windows of the streams hold clients back.
  open_window(0, static_cast<std::uint32_t>(kMaxH2Window - static_cast<std::size_t>(input_window_)));
  input_window_ = kMaxH2Window;
}

std::uint32_t H2Session::first_window() const {
  return static_cast<std::uint32_t>(conf_.body_preread_size.get().value);
}

std::uint32_t H2Session::window_grace() const {
  constexpr std::uint32_t kMost = 64 * 1024;
  return std::min({first_window() / 8, kMost, static_cast<std::uint32_t>(kMaxH2Window) - first_window()});
}

void H2Session::open_window(std::uint32_t id, std::uint32_t bytes) {
  char payload[4];
  h2_put32(payload, bytes);
  control(H2Type::window_update, 0, id, {payload, sizeof payload});
}

void H2Session::reset_stream(std::uint32_t id, H2Error error, bool more_to_come) {
  if (dead()) return;
  if (more_to_come) resets_[next_reset_++ % kResetsKept] = id;
  char payload[4];
  h2_put32(payload, static_cast<std::uint32_t>(error));
  control(H2Type::rst_stream, 0, id, {payload, sizeof payload});
}

void H2Session::control(H2Type type, std::uint8_t flags, std::uint32_t id, std::string_view payload) {
  constexpr unsigned kMostAcks = 1000;
  constexpr unsigned kMostFrames = 10000;
  if (dead()) return;
  if ((flags & h2_flag::kAck) != 0) ++acks_;
  if (++controls_ > kMostFrames || acks_ > kMostAcks) {
    log::info(connection_.logger, "http2 flood detected");
    return break_off();
  }
  const H2FrameHead head{static_cast<std::uint32_t>(payload.size()), type, flags, id};
  char* const p = head.write(output_.reserve(kH2FrameHead + payload.size()));
  payload.copy(p, payload.size());
  output_.grew(kH2FrameHead + payload.size());
  schedule();
}

// ---- frames of streams

void H2Session::frame(H2Type type, std::uint8_t flags, std::uint32_t id, std::size_t length) {
  const std::size_t size = kH2FrameHead + length;
  H2FrameHead{static_cast<std::uint32_t>(length), type, flags, id}.write(output_.reserve(size));
  output_.grew(size);
  payload_bytes_ += length;
  if (type == H2Type::data) output_window_ -= static_cast<std::int64_t>(length);
}

std::size_t H2Session::head_frames(std::uint8_t flags, std::uint32_t id, std::size_t length) {
  if (length <= kH2FirstFrame) [[likely]] {
    frame(H2Type::headers, flags | h2_flag::kEndHeaders, id, length);
    return kH2FrameHead + length;
  }
  const std::string block(output_.reserve(kH2FrameHead + length) + kH2FrameHead, length);
  H2Type type = H2Type::headers;
  std::size_t made = 0;
  for (std::string_view left = block; !left.empty(); type = H2Type::continuation, flags = 0) {
    const std::string_view part = left.substr(0, kH2FirstFrame);
    left.remove_prefix(part.size());
    part.copy(output_.reserve(kH2FrameHead + part.size()) + kH2FrameHead, part.size());
    frame(type, static_cast<std::uint8_t>(flags | (left.empty() ? h2_flag::kEndHeaders : 0)), id,
          part.size());
    made += kH2FrameHead + part.size();
  }
  return made;
}

// ---- turns

// A frame of each stream in its turn, until there is no room.
bool H2Session::make_output() {
  while (room_in_output() && !ready_.empty()) {
    auto& stream = static_cast<H2Stream&>(ready_.pop());
    const bool made = stream.make_frame();
    if (!stream.wants_turn()) continue;
    if (output_window_ <= 0 && stream.needs_window()) {
      blocked_.push(stream);
    } else if (made) {
      queue(stream);
    }
  }
  return true;
}

}  // namespace mp::proto
