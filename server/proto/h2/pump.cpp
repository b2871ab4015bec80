#include "proto/h2/pump.hpp"

#include <utility>

#include "fiber/scheduler.hpp"

namespace mp::proto {

void H2Pump::start() {
  pumping_ = true;
  fiber::spawn([this] { run(); });
}

void H2Pump::cancel_pump() {
  if (pumping_ && fiber_ != nullptr) fiber::cancel(*fiber_);
}

void H2Pump::run(bool fed) {
  pumping_ = true;
  fiber::local() = {};
  fiber_ = fiber::current();
  try {
    pump(fed);
    if (!dead_ && finished()) say_goodbye();
  } catch (const fiber::Cancelled&) {
    break_off();
  }
  fiber_ = nullptr;
  pumping_ = false;
  if (output_.empty()) output_.release();
  settled();
}

void H2Pump::pump(bool fed) {
  while (!dead_) {
    const bool read = read_input() || std::exchange(fed, false);
    // What is answered at once leaves together.
    if (read) fiber::yield();
    if (dead_) return;
    if (!make_output() || !write_output()) return break_off();
    if (finished()) return;
    if (!output_.empty()) {
      if (!wait_for_kernel()) return break_off();
    } else if (!read) {
      if (!wants_output()) return;
      fiber::yield();
    }
  }
}

// Reads what has come, one buffer full. False when there was nothing.
bool H2Pump::read_input() {
  if (deaf() || !socket_.has_input()) return false;
  const std::span<char> buffer = scratch();
  const net::Io io = socket_.try_read(buffer);
  if (io.kind == net::Io::Kind::again) return false;
  if (io.ok()) {
    take_input({buffer.data(), io.bytes});
    return true;
  }
  socket_failed("recv()", io);
  break_off();
  return false;
}

bool H2Pump::write_output() {
  const std::uint64_t before = written_;
  while (!output_.empty()) {
    const net::Io io = socket_.try_write(output_.bytes());
    if (io.kind == net::Io::Kind::failed) {
      socket_failed("send()", io);
      return false;
    }
    output_.consume(io.bytes);
    written_ += io.bytes;
    if (!output_.empty() && !socket_.writable) break;
  }
  // A peer that takes nothing has its time, whatever it says meanwhile.
  if (written_ > before || !stuck_) stuck_since_ = fiber::now();
  stuck_ = !output_.empty();
  if (written_ > before) output_written();
  return true;
}

// There may be something to read instead.
bool H2Pump::wait_for_kernel() {
  const net::WaitFor what[] = {{&socket_, false}, {&socket_, true}};
  const std::span<const net::WaitFor> both(what, deaf() ? 1 : 2);
  const fiber::Msec deadline = stuck_since_ + send_timeout();
  if (socket_.writable || (fiber::now() < deadline && net::wait_any(both, deadline))) return true;
  socket_failed("send()", net::Io::timeout());
  return false;
}

void H2Pump::break_off() {
  if (dead_) return;
  dead_ = true;
  lost();
}

}  // namespace mp::proto
