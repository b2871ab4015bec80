// H2Pump: moves the frames of one HTTP/2 connection between an engine and a socket, for a server and for a
// client alike. All reading and writing is done by one fiber, which exists only while there is something to
// move: an idle connection has neither fiber nor buffer. What others want to send goes out together, when the
// fibers that are ready have run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "fiber/fiber.hpp"
#include "net/socket.hpp"
#include "proto/h2/output_buffer.hpp"
#include "proto/h2/protocol.hpp"

namespace mp::proto {

class H2Pump {
 public:
  explicit H2Pump(net::Socket& socket) : socket_(socket) {}
  H2Pump(const H2Pump&) = delete;
  H2Pump& operator=(const H2Pump&) = delete;
  virtual ~H2Pump() = default;

  // There is something to read or to send.
  void schedule() {
    if (!pumping_) start();
  }
  bool dead() const { return dead_; }  // nothing can be sent any more
  // Output positions: bytes of frames made so far, and of those the ones the kernel has.
  std::uint64_t made() const { return written_ + output_.size(); }
  std::uint64_t written() const { return written_; }
  bool room_in_output() const { return output_.size() < kOutputLimit; }
  // What is put into frames now will leave at the end of this pass, as far as is known.
  bool flows() const { return socket_.writable && !stuck_ && room_in_output(); }

 protected:
  // Memory to read into; nobody else uses it before it was given to the engine.
  virtual std::span<char> scratch() = 0;
  virtual fiber::Msec send_timeout() const = 0;
  // Nothing more is wanted from the peer.
  virtual bool deaf() const { return false; }
  virtual void take_input(std::string_view bytes) = 0;
  virtual void socket_failed(const char* call, const net::Io& io) = 0;  // to log it; end of stream included
  // Frames, while there is room for them. False: the connection cannot go on.
  virtual bool make_output() = 0;
  virtual bool wants_output() const = 0;  // make_output() would make something
  virtual void output_written() {}        // the kernel has taken some
  virtual void lost() = 0;                // the connection is gone
  virtual bool finished() const = 0;
  virtual void say_goodbye() {}  // on the fiber, when it has finished in good order; may wait
  // The fiber ends. The last call: it may destroy the object.
  virtual void settled() = 0;

  void begin() { pumping_ = true; }  // run() comes next: nothing else may start a pump until then
  // The pump on the calling fiber. `fed`: input was taken before.
  void run(bool fed = false);
  void break_off();
  bool pumping() const { return pumping_; }
  bool output_empty() const { return output_.empty(); }
  void cancel_pump();

  net::Socket& socket_;
  OutputBuffer output_;

 private:
  void start();
  void pump(bool fed);
  bool read_input();
  bool write_output();
  bool wait_for_kernel();

  static constexpr std::size_t kOutputLimit = 64 * 1024;

  bool pumping_ = false;
  bool dead_ = false;
  bool stuck_ = false;           // the kernel did not take everything
  fiber::Msec stuck_since_ = 0;  // ... and nothing at all
  fiber::Fiber* fiber_ = nullptr;
  std::uint64_t written_ = 0;
};

}  // namespace mp::proto
