// H2Pump: moves the frames of one HTTP/2 connection between nghttp2 and a socket, for a server and for a
// client alike. All reading and writing is done by one fiber, which exists only while there is something to
// move: an idle connection has neither fiber nor buffer. What others want to send goes out together, when the
// fibers that are ready have run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <nghttp2/nghttp2.h>

#include "fiber/fiber.hpp"
#include "net/socket.hpp"
#include "proto/h2/head_mender.hpp"
#include "proto/h2/output_buffer.hpp"

namespace mp::proto {

inline constexpr std::size_t kH2FrameHead = 9;
inline constexpr std::size_t kMaxH2Window = 0x7fffffff;

class H2Pump {
 public:
  // `most_held`: of a head that the engine is given as a whole.
  H2Pump(net::Socket& socket, std::size_t most_held) : socket_(socket), mender_(most_held) {}
  H2Pump(const H2Pump&) = delete;
  H2Pump& operator=(const H2Pump&) = delete;
  virtual ~H2Pump();

  // There is something to read or to send.
  void schedule();
  nghttp2_session* engine() const { return dead_ ? nullptr : engine_; }  // null: nothing can be sent any more
  // Output positions: bytes of frames made so far, and of those the ones the kernel has.
  std::uint64_t made() const { return made_; }
  std::uint64_t written() const { return written_; }
  bool room_in_output() const { return output_.size() < kOutputLimit; }
  // What is put into frames now will leave at the end of this pass, as far as is known.
  bool flows() const { return socket_.writable && !stuck_ && room_in_output(); }
  // Makes frames now, of all that was submitted, until it is enough. There must be room in the output. Not to
  // be called by the engine's callbacks.
  template <class Enough>
  void make_frames(Enough enough) {
    while (!broken_ && !enough() && make_some()) continue;
    schedule();
  }
  // The engine cannot go on: the pump ends the connection, and asks it for nothing more.
  void engine_failed() { broken_ = true; }
  // Where the payload of the next DATA frame will be.
  char* next_payload(std::size_t size) { return output_.reserve(kH2FrameHead + size) + kH2FrameHead; }

 protected:
  // Memory to read into; nobody else uses it before it was given to the engine.
  virtual std::span<char> scratch() = 0;
  virtual fiber::Msec send_timeout() const = 0;
  // Nothing more is wanted from the peer.
  virtual bool deaf() const { return false; }
  virtual void input_came(std::size_t bytes) = 0;  // and was given to the engine
  virtual void input_failed(int engine_error) = 0;
  virtual void socket_failed(const char* call, const net::Io& io) = 0;  // to log it; end of stream included
  // A frame other than DATA, before it is sent: false, it is not.
  virtual bool frame_made(char* frame, std::size_t size) {
    (void)frame;
    (void)size;
    return true;
  }
  virtual void output_begins() {}  // what was kept back is to be submitted
  virtual void output_written() = 0;
  virtual void lost() = 0;  // the connection is gone
  virtual bool finished() const = 0;
  virtual void say_goodbye() {}  // on the fiber, when it has finished in good order; may wait
  // The fiber ends. The last call: it may destroy the object.
  virtual void settled() = 0;

  void begin() { pumping_ = true; }  // run() comes next: nothing else may start a pump until then
  void run();                        // the pump on the calling fiber
  void feed(std::string_view bytes);
  bool give(std::string_view bytes);  // straight to the engine; false: it found a mistake
  // A head has come in part, and the engine does not know yet.
  bool holds_head() const { return mender_.holds_head(); }
  void give_held();
  void break_off();
  bool dead() const { return dead_; }
  bool pumping() const { return pumping_; }
  bool output_empty() const { return output_.empty(); }
  void cancel_pump();
  // For the engine's callback that makes DATA frames.
  template <class Take>
  int send_data(std::size_t size, Take take) {
    if (!room_in_output()) return NGHTTP2_ERR_WOULDBLOCK;
    if (!take(output_)) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    made_ += kH2FrameHead + size;
    return 0;
  }

  nghttp2_session* engine_ = nullptr;
  net::Socket& socket_;

 private:
  void pump();
  bool read_input();
  bool make_output();
  bool make_some();
  bool write_output();

  static constexpr std::size_t kOutputLimit = 64 * 1024;

  H2HeadMender mender_;
  OutputBuffer output_;
  bool pumping_ = false;
  bool dead_ = false;
  bool broken_ = false;  // the engine cannot go on
  bool stuck_ = false;   // the kernel did not take everything
  fiber::Fiber* fiber_ = nullptr;
  std::uint64_t made_ = 0;
  std::uint64_t written_ = 0;
};

}  // namespace mp::proto
