#include "proto/h2/pump.hpp"

#include <cerrno>
#include <cstring>

#include "fiber/scheduler.hpp"

namespace mp::proto {

H2Pump::~H2Pump() {
  nghttp2_session_del(engine_);
}

void H2Pump::schedule() {
  if (pumping_) return;
  pumping_ = true;
  fiber::spawn([this] { run(); });
}

void H2Pump::cancel_pump() {
  if (pumping_ && fiber_ != nullptr) fiber::cancel(*fiber_);
}

void H2Pump::run() {
  pumping_ = true;
  fiber::local() = {};
  fiber_ = fiber::current();
  try {
    pump();
    if (!dead_ && finished()) say_goodbye();
  } catch (const fiber::Cancelled&) {
    break_off();
  }
  fiber_ = nullptr;
  pumping_ = false;
  if (output_.empty()) output_.release();
  settled();
}

void H2Pump::pump() {
  while (!dead_) {
    const bool read = read_input();
    // What is answered at once leaves together.
    if (read) fiber::yield();
    if (dead_) return;
    if (!make_output() || !write_output()) return break_off();
    if (finished()) return;
    if (!output_.empty()) {
      const net::WaitFor what[] = {{&socket_, false}, {&socket_, true}};
      const std::span<const net::WaitFor> both(what, deaf() ? 1 : 2);
      if (!socket_.writable && !net::wait_any(both, fiber::now() + send_timeout())) {
        socket_failed("send()", net::Io::timeout());
        return break_off();
      }
    } else if (!read) {
      if (nghttp2_session_want_write(engine_) == 0) return;
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
    feed({buffer.data(), io.bytes});
    return true;
  }
  socket_failed("recv()", io);
  break_off();
  return false;
}

void H2Pump::feed(std::string_view bytes) {
  const std::size_t size = bytes.size();
  for (;;) {
    const std::string_view part = mender_.take(bytes);
    if (part.empty()) break;
    if (!give(part)) return;
  }
  input_came(size);
}

bool H2Pump::give(std::string_view bytes) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const ssize_t used = nghttp2_session_mem_recv(engine_, data, bytes.size());
  if (used >= 0) return true;
  input_failed(static_cast<int>(used));
  break_off();
  return false;
}

void H2Pump::give_held() {
  mender_.let_go();
  feed({});
}

// Frames until the buffer is full or there is nothing to say.
bool H2Pump::make_output() {
  output_begins();
  while (!broken_ && room_in_output() && make_some()) continue;
  return !broken_;
}

// False when there was nothing.
bool H2Pump::make_some() {
  const std::size_t before = output_.size();
  const std::uint8_t* data = nullptr;
  const ssize_t size = nghttp2_session_mem_send(engine_, &data);
  if (size < 0) broken_ = true;
  if (size > 0) {
    const auto n = static_cast<std::size_t>(size);
    char* const to = output_.reserve(n);
    std::memcpy(to, data, n);
    if (!frame_made(to, n)) return true;
    output_.grew(n);
    made_ += n;
  }
  return output_.size() != before;
}

bool H2Pump::write_output() {
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
  stuck_ = !output_.empty();
  output_written();
  return true;
}

void H2Pump::break_off() {
  if (dead_) return;
  dead_ = true;
  lost();
}

}  // namespace mp::proto
