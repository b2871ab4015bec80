// H2Stream: one request and its response on an HTTP/2 connection. To the request it is its connection, too:
// what may differ between requests (who listens for the client's going away, the client's address as realip
// sees it) lives here. Made by the session when a request begins, destroyed by the end of its own fiber.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "http/connection.hpp"
#include "http/exchange.hpp"
#include "http/request.hpp"
#include "proto/h2/output_buffer.hpp"
#include "proto/h2/request_head.hpp"
#include "proto/h2/session.hpp"
#include "proto/h2/turn_list.hpp"

namespace mp::proto {

class H2Stream final : public http::Connection, public http::Exchange, public H2Turn {
 public:
  H2Stream(H2Session& session, std::uint32_t id);
  ~H2Stream() override;
  static void* operator new(std::size_t size);
  static void operator delete(void* block);

  std::uint32_t id() const { return id_; }
  bool running() const { return started_; }
  // For the client it is not over: frames may come and go.
  bool open() const { return !closed_ && !(end_made_ && input_ended_) && !session_.dead(); }
  bool input_over() const { return input_ended_; }

  // ---- from the session, while it reads; none of these waits
  Arena& arena() { return request_.arena; }
  bool field(const HpackField& field) { return head_.add(field); }
  void head_complete(bool ended, std::uint64_t block_size);
  bool take_window(std::uint32_t bytes);  // of a frame that begins; false: it is beyond the window
  void input(std::string_view bytes);
  void consumed(std::size_t bytes);
  void input_ended();
  void change_input(std::int64_t more);  // the window, by the settings
  void reset(std::uint32_t error);       // by the client
  void closed();                         // by a reset, whoever's
  void break_off();                      // the whole connection is over
  void cancel();

  // ---- from the session, while it writes
  bool open_output(std::int64_t bytes);  // the window; false: beyond its limit
  bool make_frame();                     // of what there is to send; false: nothing can be
  bool wants_turn() const;
  bool needs_window() const { return !head_waits_ && left() > 0; }
  void kernel_took() { progress_.notify_all(); }

  // ---- http::Exchange
  net::Io read_body(http::Request& request, std::span<char> into) override;
  net::Io try_read_body(http::Request& request, std::span<char> into) override;
  bool body_complete() const override { return input_.empty() && input_ended_; }
  bool send_informational(http::Request& request, int status) override;
  bool send_head(http::Request& request, bool no_body) override;
  bool send_body(http::Request& request, const http::Output& output) override;
  bool flush(http::Request& request) override;
  std::size_t unsent() const override { return taken_over_ ? 0 : left(); }
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

  // ---- input
  void open_window(http::Request& request);
  net::Io take_input(http::Request& request, std::span<char> into);
  net::Io check_end(http::Request& request);
  void update_window(bool at_once);
  void tell_reader();

  // ---- output
  std::size_t left() const { return held_.size() + lent_left_; }
  template <class Put>
  void each_field(http::Request& r, const Put& put);
  int shown_status(int status) const;
  void write_head();
  void write_trailers();
  void head_made(std::size_t bytes, bool last);
  std::size_t next_size() const;
  void advance(std::size_t size);
  void resume();
  // Gone without both sides having ended it: nothing more can be sent.
  bool output_lost() const { return !end_made_ && !open(); }
  bool all_taken() const;
  bool wait_for_output(http::Request& request, bool for_kernel);
  bool wait_for_progress(http::Request& request);
  struct Lending {
    std::size_t size;
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
  std::uint32_t id_;
  http::Request request_;
  H2RequestHead head_;
  fiber::Fiber* fiber_ = nullptr;
  bool started_ = false;  // its head is complete: it has a fiber, or will have one when its turn comes
  bool closed_ = false;   // reset
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
  std::int64_t input_window_;    // what the client may send
  std::int64_t window_wanted_;   // what it may when everything was read
  std::int64_t unconsumed_ = 0;  // what of it was announced or came, and was not read
  fiber::Ticket reader_;

  OutputBuffer held_;                  // copied from above, to go out first
  std::span<const http::Piece> lent_;  // the caller's, which waits for them
  std::size_t lent_done_ = 0;          // of the first piece
  std::size_t lent_left_ = 0;
  struct Cold {
    const http::Piece* piece = nullptr;
    off_t at = 0;
  };
  Cold cold_;                           // what had to be read from the disk first
  std::vector<char> warm_;              // ... and was
  std::uint64_t allowed_ = UINT64_MAX;  // body bytes that may have gone out so far, under limit_rate
  std::uint64_t taken_ = 0;             // body bytes put into frames
  std::int64_t output_window_;          // what the client takes
  bool head_sent_ = false;              // by those above
  bool head_waits_ = false;             // ... but not written
  bool head_ends_ = false;              // the response is over with it
  int status_ = 0;                      // as the client sees it
  bool ending_ = false;                 // what is held and lent is the last of it
  bool end_made_ = false;               // the frame with END_STREAM was made
  std::uint64_t accepted_ = 0;
  std::int64_t promised_ = -1;
  bool too_long_ = false;         // more than that was offered
  std::uint64_t last_frame_ = 0;  // where the last frame of it ends in the session's output
  std::uint64_t sent_ = 0;
  std::uint64_t overhead_ = 0;  // of these: heads, and those of frames
  fiber::Event progress_;       // of the output, for whoever waits
};

}  // namespace mp::proto
