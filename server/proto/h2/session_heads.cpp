// The heads of requests, and what bounds them: HEADERS and CONTINUATION frames, new streams, trailers.
#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "base/log.hpp"
#include "fiber/scheduler.hpp"
#include "http/core_conf.hpp"
#include "http/server_select.hpp"
#include "proto/h2/module.hpp"
#include "proto/h2/session.hpp"
#include "proto/h2/stream.hpp"

namespace mp::proto {

// ---- frames

void H2Session::headers_begin(const H2FrameHead& frame) {
  const std::uint32_t id = frame.stream;
  head_id_ = id;
  if (id % 2 == 1 && id > highest_id_) {
    highest_id_ = id;
    head_kind_ = going_away_ ? HeadKind::ignored : HeadKind::request;
  } else if (was_reset(id)) {
    head_kind_ = HeadKind::ignored;
  } else {
    const H2Stream* stream = streams_.find(id);
    if (stream == nullptr || !stream->open()) {
      return mistake(H2Error::protocol,
                     "client sent HEADERS frame with incorrect identifier {}, the last was {}", id,
                     highest_id_);
    }
    if (stream->input_over()) {
      return mistake(H2Error::stream_closed, "client sent HEADERS frame for half-closed stream {}", id);
    }
    head_kind_ = HeadKind::trailers;
  }
  if (frame.length > most_block()) mistake(H2Error::enhance_your_calm, "client sent too large header");
}

// A client may have sent more to a stream before it heard that it was reset.
bool H2Session::was_reset(std::uint32_t id) const {
  return id != 0 && std::find(std::begin(resets_), std::end(resets_), id) != std::end(resets_);
}

void H2Session::headers_came(const H2FrameHead& frame, std::string_view payload) {
  constexpr std::size_t kPrioritySize = 5;
  block_size_ = frame.length;
  if (frame.has(h2_flag::kPadded)) {
    const std::size_t pad = payload.empty() ? 0 : static_cast<unsigned char>(payload.front());
    if (payload.size() < 1 + pad) {
      return mistake(H2Error::protocol,
                     "client sent padded HEADERS frame with incorrect length: {}, padding: {}", frame.length,
                     pad);
    }
    block_size_ -= 1 + pad;
    payload = payload.substr(1, payload.size() - 1 - pad);
  }
  if (frame.has(h2_flag::kPriority)) {
    if (payload.size() < kPrioritySize) {
      return mistake(H2Error::frame_size, "client sent HEADERS frame with incorrect length {}", frame.length);
    }
    if ((h2_get32(payload.data()) & 0x7fffffff) == frame.stream) {
      return mistake(H2Error::protocol, "client sent HEADERS frame for stream {} with incorrect dependency",
                     frame.stream);
    }
    block_size_ -= kPrioritySize;
    payload.remove_prefix(kPrioritySize);
  }
  head_ends_stream_ = frame.has(h2_flag::kEndStream);
  if (frame.has(h2_flag::kEndHeaders)) return head_came(payload);
  head_open_ = true;
  continuations_ = 0;
  block_ = payload;
}

void H2Session::continuation_begins(const H2FrameHead& frame) {
  constexpr unsigned kMost = 8;
  if (!head_open_) return mistake(H2Error::protocol, "client sent unexpected CONTINUATION frame");
  if (++continuations_ > kMost) {
    return mistake(H2Error::enhance_your_calm, "client sent too many CONTINUATION frames");
  }
  if (block_.size() + frame.length > most_block()) {
    mistake(H2Error::enhance_your_calm, "client sent too large header");
  }
}

void H2Session::continuation_came(const H2FrameHead& frame, std::string_view payload) {
  block_size_ += frame.length;
  block_.append(payload);
  if (!frame.has(h2_flag::kEndHeaders)) return;
  const std::string block = std::exchange(block_, {});
  head_came(block);
}

// ---- heads

void H2Session::head_came(std::string_view block) {
  head_open_ = head_given_up_ = false;
  switch (head_kind_) {
    case HeadKind::request:
      return begin_request(block);
    case HeadKind::trailers:
      return end_body(block);
    case HeadKind::ignored:
      return (void)read_nobodys_fields(block);
  }
}

void H2Session::begin_request(std::string_view block) {
  const std::uint32_t id = last_id_ = head_id_;
  const auto limit = static_cast<std::size_t>(std::max<std::int64_t>(conf_.max_concurrent_streams.get(), 0));
  const bool crowded = streams_.size() >= limit;
  if (crowded || new_streams_++ >= 2 * limit) {
    if (crowded) {
      log::info(connection_.logger, "concurrent streams exceeded {}", streams_.size());
    } else {
      log::info(connection_.logger, "client sent too many streams at once");
    }
    refuse_stream(id);
    return (void)read_nobodys_fields(block);
  }
  ++connection_.requests;
  had_stream_ = true;
  disarm();
  if (std::exchange(counted_waiting_, false)) worker_.counters().waiting.sub();
  auto made = std::make_unique<H2Stream>(*this, id);
  streams_.add(id, made.get());
  H2Stream& stream = *made.release();
  check_keepalive();
  read_fields(block, stream);
  // After a mistake the stream is gone.
  if (closing_ || dead()) return;
  payload_bytes_ += block_size_;
  stream.head_complete(head_ends_stream_, block_size_);
}

// Trailers: nobody asks for those of requests, but their end is the body's.
void H2Session::end_body(std::string_view block) {
  const bool right = read_nobodys_fields(block);
  H2Stream* stream = streams_.find(head_id_);
  if (closing_ || stream == nullptr || !stream->open()) return;
  if (right && head_ends_stream_) return stream->input_ended();
  log::info(stream->logger, "client sent trailers {}",
            right ? "without the end of the stream" : "with an invalid field");
  kill(*stream, H2Error::protocol, !head_ends_stream_);
}

void H2Session::read_fields(std::string_view block, H2Stream& stream) {
  HpackReader reader(table_, block, stream.arena());
  HpackField field;
  std::size_t room = most_head_;
  while (reader.next(field)) {
    if (!field_fits(field, room, stream.logger)) return fail(H2Error::enhance_your_calm);
    if (stream.field(field)) reader.accept();
  }
  if (reader.broken()) mistake(H2Error::compression, "client sent header block that cannot be decoded");
}

// What is told to be remembered must be. False: they cannot be trailers.
bool H2Session::read_nobodys_fields(std::string_view block) {
  Arena arena;
  HpackReader reader(table_, block, arena);
  HpackField field;
  std::size_t room = most_head_;
  bool right = true;
  while (reader.next(field)) {
    right = right && is_h2_trailer(field);
    if (field_fits(field, room, connection_.logger)) continue;
    fail(H2Error::enhance_your_calm);
    return false;
  }
  if (reader.broken()) mistake(H2Error::compression, "client sent header block that cannot be decoded");
  return right;
}

bool H2Session::field_fits(const HpackField& field, std::size_t& room, const log::Logger& logger) {
  const std::size_t name = field.name.text.size();
  const std::size_t value = field.value.size();
  if (name > most_field_ || value > most_field_) [[unlikely]] {
    log::info(logger, "client sent too large header field");
    return false;
  }
  if (name + value > room) [[unlikely]] {
    log::info(logger, "client sent too large header");
    return false;
  }
  room -= name + value;
  return true;
}

void H2Session::refuse_stream(std::uint32_t id) {
  const auto limit =
      static_cast<std::uint64_t>(std::max<std::int64_t>(conf_.max_concurrent_streams.get(), 100));
  if (refused_++ > limit) {
    log::info(connection_.logger, "client sent too many refused streams");
    return fail(H2Error::none);
  }
  reset_stream(id, H2Error::refused_stream, true);
}

// The last request of a connection that has had its share of time or requests.
void H2Session::check_keepalive() {
  const auto& core = connection_.first_server().sets.get<http::CoreLocation>();
  const auto age = static_cast<std::int64_t>(fiber::now() - connection_.started_msec);
  if (core.keepalive_timeout == 0 ||
      connection_.requests >= static_cast<std::uint64_t>(core.keepalive_requests.get()) ||
      age > core.keepalive_time) {
    go_away(H2Error::none);
  }
}

}  // namespace mp::proto
