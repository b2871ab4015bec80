// H2Session: HTTP/2 on one client connection (RFC 9113), with nghttp2 as the machine for frames and HPACK.
// Owned by the connection, which it destroys when everything has ended. Requests run on fibers of their own
// and hand it their output; while none runs it has no fiber and no buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nghttp2/nghttp2.h>

#include "fiber/fiber.hpp"
#include "http/connection.hpp"
#include "proto/h2/pump.hpp"
#include "proto/h2/request_head.hpp"
#include "proto/worker.hpp"

namespace mp::proto {

class H2Stream;
struct H2Server;

inline constexpr std::string_view kH2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

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
  void reset_stream(std::int32_t id, std::uint32_t error, bool more_to_come);
  // Wakes the stream when the kernel has taken more.
  void wait_for_kernel(H2Stream& stream) { waiting_.push_back(&stream); }
  void forget_wait(H2Stream& stream);
  // Submits the head of the stream at the end of this pass, if that has not happened by then.
  void keep_head(H2Stream& stream) {
    heads_.push_back(&stream);
    schedule();
  }
  void forget_head(H2Stream& stream) {
    if (!heads_.empty() && heads_.back() == &stream) return heads_.pop_back();
    std::erase(heads_, &stream);
  }
  // Null: there is none, or nobody wants to hear of it any more.
  H2Stream* stream(std::int32_t id);
  // How much more than they may clients can send: nginx opens a window when the head has come, before it
  // looks at what follows, and some count on that.
  std::uint32_t window_grace() const;

 private:
  friend struct H2Callbacks;

  void expired() override;

  // ---- what the pump asks
  std::span<char> scratch() override;
  fiber::Msec send_timeout() const override;
  bool deaf() const override { return closing_; }
  void input_came(std::size_t bytes) override;
  void input_failed(int engine_error) override;
  void socket_failed(const char* call, const net::Io& io) override;
  bool frame_made(char* frame, std::size_t size) override;
  void output_begins() override;
  void output_written() override;
  void lost() override { abort_streams(); }
  bool finished() const override;
  void say_goodbye() override;
  void settled() override;

  void wait_for_client();
  bool head_comes() const { return head_open_ || head_held_; }

  // ---- ends
  void go_away(std::uint32_t error);
  void fail(std::uint32_t error);  // a mistake of the client's: GOAWAY, every request ends
  void abort_streams();

  // ---- frames
  void send_settings();
  std::uint32_t first_window() const;
  int frame_begins(const nghttp2_frame_hd& frame);
  int head_begins(const nghttp2_frame& frame);
  int field_came(H2Stream* stream, std::string_view name, std::string_view value);
  bool field_fits(const H2Stream& stream, std::size_t name, std::size_t value);
  void body_came(H2Stream* stream, std::string_view bytes);
  void frame_came(const nghttp2_frame& frame);
  void frame_is_invalid(const nghttp2_frame& frame, int error);
  int make_data(H2Stream* stream, const std::uint8_t* frame_head, std::size_t size);
  void frame_sent(const nghttp2_frame& frame);
  void refuse_stream(std::int32_t id);
  void check_keepalive(std::int32_t id);
  bool was_reset(std::int32_t id) const;

  static constexpr std::size_t kResetsKept = 32;

  http::Connection& connection_;
  Worker& worker_;
  const H2Server& conf_;
  H2HeadOptions head_options_;
  H2LastHost last_host_;
  std::size_t most_field_;
  std::size_t most_head_;
  std::size_t head_room_ = 0;       // of the head being read
  std::vector<H2Stream*> streams_;  // with a fiber or about to have one
  std::vector<H2Stream*> waiting_;
  std::vector<H2Stream*> heads_;   // with a head that waits for the body
  H2Stream* last_used_ = nullptr;  // what stream() found

  bool going_away_ = false;  // GOAWAY was queued
  bool closing_ = false;     // ... because of a mistake: nothing more is read
  bool counted_waiting_ = false;
  bool had_stream_ = false;
  bool head_open_ = false;    // the rest of a head is to come
  bool head_held_ = false;    // ... and the engine knows nothing of it
  bool engine_left_ = false;  // it said GOAWAY by itself: the client has broken the protocol
  bool settings_made_ = false;
  bool ack_dropped_ = false;

  std::int32_t last_id_ = 0;
  std::int32_t resets_[kResetsKept] = {};  // streams reset before their last frame came
  unsigned next_reset_ = 0;

  // ---- what is counted against floods
  std::uint64_t total_bytes_ = 0;
  std::uint64_t payload_bytes_ = 0;
  std::uint64_t head_block_ = 0;  // of the head being read: bytes of header block
  unsigned new_streams_ = 0;      // in one pass of reading
  std::uint64_t refused_ = 0;
  std::uint64_t idle_wakeups_ = 0;
};

}  // namespace mp::proto
