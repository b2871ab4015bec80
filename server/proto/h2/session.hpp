// H2Session: HTTP/2 on one client connection (RFC 9113): frames, HPACK, windows, and what bounds them.
// Owned by the connection, which it destroys when everything has ended. Requests run on fibers of their own
// and put their output into frames here; while none runs the session has no fiber and no buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "fiber/fiber.hpp"
#include "http/connection.hpp"
#include "proto/h2/frame_reader.hpp"
#include "proto/h2/hpack_encoder.hpp"
#include "proto/h2/hpack_table.hpp"
#include "proto/h2/pump.hpp"
#include "proto/h2/request_head.hpp"
#include "proto/h2/stream_list.hpp"
#include "proto/h2/turn_list.hpp"
#include "proto/worker.hpp"

namespace mp::proto {

struct H2Server;

class H2Session final : public H2Pump, private fiber::Timer {
 public:
  // `connection` must be one that was allocated by `new`: it is deleted when it has ended.
  H2Session(http::Connection& connection, Worker& worker);
  ~H2Session() override;

  // Begins with what was read of the connection before, preface included. May destroy the connection: the
  // caller touches neither afterwards. To be called on a fiber.
  void start(std::string read_ahead);

  // What the connection hands on.
  void input_ready();
  void close_if_idle();
  void cancel();

  // ---- for streams
  http::Connection& connection() { return connection_; }
  Worker& worker() { return worker_; }
  const H2Server& conf() const { return conf_; }
  const H2HeadOptions& head_options() const { return head_options_; }
  H2LastHost& last_host() { return last_host_; }
  void ended(H2Stream& stream);  // its fiber is over
  // `more_to_come`: of the client's frames for this stream, some may be on their way.
  void reset_stream(std::uint32_t id, H2Error error, bool more_to_come);
  // Wakes the stream when the kernel has taken more.
  void wait_for_kernel(H2Stream& stream) { waiting_.push_back(&stream); }
  void forget_wait(H2Stream& stream) {
    if (!waiting_.empty()) std::erase(waiting_, &stream);
  }
  // The stream has something to put into frames when there is room and its turn comes.
  void queue(H2Turn& stream) {
    if (!stream.waits()) ready_.push(stream);
  }

  // ---- windows
  std::uint32_t first_window() const;  // of a stream's input, whose client knows the settings
  std::uint32_t input_window() const { return settings_known_ ? first_window() : kH2FirstWindow; }
  // How much more than they may clients can send: nginx opens a window when the head has come, before it
  // looks at what follows, and some count on that.
  std::uint32_t window_grace() const;
  void open_window(std::uint32_t id, std::uint32_t bytes);  // tells the client; id 0: of the connection
  std::int64_t output_window() const { return output_window_; }
  std::int64_t first_output_window() const { return first_output_window_; }

  // ---- frames of streams, straight into the output
  HpackEncoder& encoder() { return encoder_; }
  std::size_t longest_frame() const { return longest_frame_; }
  char* reserve(std::size_t bytes) { return output_.reserve(bytes); }
  // Puts the head in front of a payload that lies behind its place in what was reserved.
  void frame(H2Type type, std::uint8_t flags, std::uint32_t id, std::size_t length);
  // A header block of any length, likewise; how many bytes its frames are.
  std::size_t head_frames(std::uint8_t flags, std::uint32_t id, std::size_t length);

 private:
  enum class HeadKind : std::uint8_t { request, trailers, ignored };

  void expired() override;

  // ---- what the pump asks
  std::span<char> scratch() override;
  fiber::Msec send_timeout() const override;
  bool deaf() const override { return closing_; }
  void take_input(std::string_view bytes) override;
  void socket_failed(const char* call, const net::Io& io) override;
  bool make_output() override;
  bool wants_output() const override { return !ready_.empty(); }
  void output_written() override;
  void lost() override { abort_streams(); }
  bool finished() const override;
  void say_goodbye() override;
  void settled() override;

  void check_flood(std::size_t bytes);
  void wait_for_client();
  bool head_comes() const;

  // ---- ends
  void go_away(H2Error error);
  void fail(H2Error error);  // a mistake of the client's: GOAWAY, every request ends
  template <class... A>
  [[gnu::cold]] void mistake(H2Error error, fmt::format_string<const A&...> format, const A&... args) {
    log::info(connection_.logger, format, args...);
    fail(error);
  }
  void kill(H2Stream& stream, H2Error error, bool more_to_come);
  void abort_streams();

  // ---- frames of the client
  void frame_begins(const H2FrameHead& frame);
  void data_begins(const H2FrameHead& frame);
  void data_came();
  void headers_begin(const H2FrameHead& frame);
  void frame_came(const H2FrameHead& frame, std::string_view payload);
  void headers_came(const H2FrameHead& frame, std::string_view payload);
  void continuation_begins(const H2FrameHead& frame);
  void continuation_came(const H2FrameHead& frame, std::string_view payload);
  void settings_came(const H2FrameHead& frame, std::string_view payload);
  bool apply_setting(H2Setting setting, std::uint32_t value);
  bool change_output_windows(std::uint32_t value);
  void settings_acknowledged();
  void ping_came(const H2FrameHead& frame, std::string_view payload);
  void priority_came(const H2FrameHead& frame, std::string_view payload);
  void goaway_came(const H2FrameHead& frame);
  void reset_came(const H2FrameHead& frame, std::string_view payload);
  void window_came(const H2FrameHead& frame, std::string_view payload);
  bool is_idle(std::uint32_t id) const { return id > highest_id_ || id % 2 == 0; }
  bool has_size(const H2FrameHead& frame, std::uint32_t size);
  bool is_for(const H2FrameHead& frame, bool a_stream);
  bool reset_allowed();
  std::size_t most_block() const { return 2 * most_head_ + kH2FirstFrame; }

  // ---- heads
  void head_came(std::string_view block);
  void begin_request(std::string_view block);
  void end_body(std::string_view block);
  void read_fields(std::string_view block, H2Stream& stream);
  bool read_nobodys_fields(std::string_view block);
  bool field_fits(const HpackField& field, std::size_t& room, const log::Logger& logger);
  void refuse_stream(std::uint32_t id);
  void check_keepalive();
  bool was_reset(std::uint32_t id) const;

  // ---- frames of the connection
  void send_settings();
  // Bounded: the client makes these, and may not read them.
  void control(H2Type type, std::uint8_t flags, std::uint32_t id, std::string_view payload);

  static constexpr std::size_t kResetsKept = 32;
  static constexpr unsigned kResetsAtOnce = 1000;

  http::Connection& connection_;
  Worker& worker_;
  const H2Server& conf_;
  H2HeadOptions head_options_;
  H2LastHost last_host_;
  std::size_t most_field_;
  std::size_t most_head_;

  // ---- streams
  H2StreamList streams_;            // with a fiber or about to have one
  std::vector<H2Stream*> waiting_;  // for the kernel
  H2TurnList ready_;
  H2TurnList blocked_;                      // by the window of the connection
  H2Stream* body_of_ = nullptr;             // whose DATA frame is being read; null: nobody wants it
  std::uint32_t last_id_ = 0;               // the last request that was looked at
  std::uint32_t highest_id_ = 0;            // the last one that came
  std::uint32_t resets_[kResetsKept] = {};  // streams reset before their last frame came
  unsigned next_reset_ = 0;

  // ---- reading
  H2FrameReader reader_;
  HpackTable table_;
  std::string block_;             // of a head that comes in several frames
  std::uint64_t block_size_ = 0;  // of the head being read, as it came
  HeadKind head_kind_ = HeadKind::ignored;
  std::uint32_t head_id_ = 0;
  bool head_ends_stream_ = false;
  bool head_open_ = false;  // CONTINUATION is to come
  unsigned continuations_ = 0;
  std::int64_t input_window_ = kH2FirstWindow;  // of the connection
  std::int8_t priorities_off_ = -1;             // what the client's SETTINGS said first; -1: none came
  bool settings_known_ = false;                 // ours are acknowledged

  // ---- writing
  HpackEncoder encoder_;
  std::size_t longest_frame_ = kH2FirstFrame;
  std::int64_t output_window_ = kH2FirstWindow;  // of the connection
  std::int64_t first_output_window_ = kH2FirstWindow;

  // ---- the end
  bool going_away_ = false;  // GOAWAY was said
  bool closing_ = false;     // ... because of a mistake: nothing more is read
  bool peer_leaves_ = false;
  bool counted_waiting_ = false;
  bool had_stream_ = false;
  bool head_waited_for_ = false;  // the timer is that of a head
  bool head_given_up_ = false;    // ... it came too late: its stream was reset

  // ---- what is counted against floods
  std::uint64_t input_bytes_ = 0;
  std::uint64_t payload_bytes_ = 0;  // both ways
  unsigned new_streams_ = 0;         // in one pass of reading
  unsigned controls_ = 0;            // frames that are no response, since the kernel had ...
  std::uint64_t controls_end_ = 0;  // ... what was made up to here: those before have left when it takes that
  unsigned acks_ = 0;               // of these, answers to SETTINGS and PING
  unsigned resets_left_ = kResetsAtOnce;
  fiber::Msec resets_since_ = 0;  // when there were so many left
  std::uint64_t refused_ = 0;
  std::uint64_t idle_wakeups_ = 0;
};

}  // namespace mp::proto
