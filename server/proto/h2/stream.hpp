// H2Stream: one request and its response on an HTTP/2 connection. To the request it is its connection, too:
// what may differ between requests (who listens for the client's going away, the client's address as realip
// sees it) lives here. Made by the session when a request begins, destroyed by the end of its own fiber.
#pragma once

#include <cstdint>
#include <new>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <nghttp2/nghttp2.h>

#include "http/connection.hpp"
#include "http/exchange.hpp"
#include "http/request.hpp"
#include "proto/h2/block_pool.hpp"
#include "proto/h2/output_buffer.hpp"
#include "proto/h2/request_head.hpp"
#include "proto/h2/session.hpp"

namespace mp::proto {

class H2Stream final : public http::Connection, public http::Exchange {
 public:
  H2Stream(H2Session& session, std::int32_t id);
  ~H2Stream() override;
  static void* operator new(std::size_t size) {
    void* block = BlockPool::of_process().take(size);
    if (block == nullptr) throw std::bad_alloc();
    return block;
  }
  static void operator delete(void* block) { BlockPool::of_process().give(block); }

  std::int32_t id() const { return id_; }
  bool running() const { return started_; }

  // ---- from the session, while it reads; none of these waits
  void field(std::string_view name, std::string_view value) {
    if (!started_) head_.add(name, value);  // or it is a trailer: nobody asks for those of requests
  }
  void head_complete(bool ended, std::uint64_t block_size);
  void input(std::string_view bytes);
  void input_ended();
  void reset(std::uint32_t error);  // by the client
  void closed();                    // the stream is over for the engine
  void break_off();                 // the whole connection is over
  void cancel();

  // ---- from the session, while it writes
  ssize_t offer(std::size_t most, std::uint32_t& flags);  // of body bytes, for a DATA frame
  bool take(const std::uint8_t* frame_head, std::size_t size, OutputBuffer& out);
  void frame_sent(const nghttp2_frame_hd& frame, std::uint64_t position);
  void head_lost(int engine_error);  // the engine could not send it
  void submit_head();                // that was waiting for a body
  void kernel_took();
  std::size_t longest_frame() const;

  // ---- http::Exchange
  net::Io read_body(http::Request& request, std::span<char> into) override;
  net::Io try_read_body(http::Request& request, std::span<char> into) override;
  bool body_complete() const override { return input_.empty() && input_ended_; }
  bool send_informational(http::Request& request, int status) override;
  bool send_head(http::Request& request, bool no_body) override;
  bool send_body(http::Request& request, const http::Output& output) override;
  bool flush(http::Request& request) override;
  std::size_t unsent() const override { return taken_over_ ? 0 : held_.size() + lent_left_; }
  bool take_over(http::Request& request, std::string_view& read_ahead) override;
  void no_keepalive() override {}
  bool keepalive() const override { return false; }

 private:
  class Bytes;

  void input_ready() override {}
  H2Session& prepare(H2Session& session);
  void run();
  void apply_head();
  void apply_upgrade();
  void finish();
  void await_input();
  void gone();
  nghttp2_session* engine() const { return id_ > 0 ? session_.engine() : nullptr; }

  // ---- input
  void open_window(http::Request& request);
  net::Io take_input(http::Request& request, std::span<char> into);
  net::Io check_end(http::Request& request);
  void consumed(std::size_t bytes);
  void tell_reader();

  // ---- output
  bool hand_head_over(bool last);
  bool submit_trailers();
  void resume();
  // Gone without both sides having ended it: nothing more can be sent.
  bool engine_lost() const { return engine() == nullptr && !end_made_; }
  bool all_taken() const;
  bool wait_for_output(http::Request& request, bool for_kernel);
  bool wait_for_progress(http::Request& request);
  struct Lending {
    std::size_t size;
    bool files;    // some of it is in files
    bool last;     // the response ends with it
    bool limited;  // by limit_rate
  };
  bool send_lent(http::Request& request, const http::Output& output, const Lending& what);
  std::size_t fill(char* to, std::size_t size);
  std::size_t fill_from_file(char* to, const http::Piece& piece, std::size_t skip, std::size_t size);
  void file_failed(ssize_t result);
  void warm_up(http::Request& request);
  void count(http::Request& request);

  void accept_small(const http::Output& output, std::size_t size);
  void offer_bytes();
  void tell_writer();

  static constexpr std::size_t kHoldLimit = 16 * 1024;

  H2Session& session_;
  std::int32_t id_;  // 0: the engine knows it no more
  http::Request request_;
  H2RequestHead head_;
  fiber::Fiber* fiber_ = nullptr;
  bool started_ = false;  // its head is complete: it has a fiber, or will have one when its turn comes
  bool failed_ = false;   // the client can get nothing more
  bool timed_out_ = false;
  bool counts_writing_ = false;
  bool upgrade_ = false;  // an extended CONNECT
  bool taken_over_ = false;

  OutputBuffer input_;  // of the body, not read yet
  bool input_ended_ = false;
  bool input_unwanted_ = false;
  bool window_open_ = false;
  bool continue_wanted_ = false;
  bool body_checked_ = false;
  std::uint64_t received_ = 0;
  fiber::Ticket reader_;

  OutputBuffer held_;                  // copied from above, to go out first
  std::span<const http::Piece> lent_;  // the caller's, which waits for them
  std::size_t lent_done_ = 0;          // of the first piece
  std::size_t lent_left_ = 0;
  bool files_lent_ = false;
  bool filled_ = false;  // the bytes of the next frame lie where it will be
  struct Cold {
    const http::Piece* piece = nullptr;
    off_t at = 0;
  };
  Cold cold_;                           // what had to be read from the disk first
  std::vector<char> warm_;              // ... and was
  std::uint64_t allowed_ = UINT64_MAX;  // body bytes that may have gone out so far, under limit_rate
  std::uint64_t taken_ = 0;             // body bytes put into frames
  std::span<nghttp2_nv> head_fields_;   // in the arena
  bool head_sent_ = false;              // by those above
  bool head_waits_ = false;             // ... but not submitted yet: what follows at once goes with it
  unsigned heads_queued_ = 0;  // heads the engine has, informational ones too, that are in no frame yet
  bool ending_ = false;        // what is held and lent is the last of it
  bool end_made_ = false;      // the frame with END_STREAM was made
  bool deferred_ = false;      // the engine waits for resume()
  std::uint64_t accepted_ = 0;
  std::int64_t promised_ = -1;
  bool too_long_ = false;         // more than that was offered
  std::uint64_t last_frame_ = 0;  // where the last frame of it ends in the session's output
  std::uint64_t sent_ = 0;
  std::uint64_t head_sent_bytes_ = 0;
  fiber::Event progress_;  // of the output, for whoever waits
};

// The same one is asked for several times in a row.
inline H2Stream* H2Session::stream(std::int32_t id) {
  if (id == 0) return nullptr;
  if (last_used_ == nullptr || last_used_->id() != id) {
    last_used_ = static_cast<H2Stream*>(nghttp2_session_get_stream_user_data(engine_, id));
  }
  return last_used_;
}

}  // namespace mp::proto
