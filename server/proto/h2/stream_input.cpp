// The request body of an HTTP/2 stream. What comes is kept until somebody reads it, at most one window;
// reading opens the window again.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.hpp"
#include "fiber/scheduler.hpp"
#include "http/core_conf.hpp"
#include "http/file_io.hpp"
#include "proto/h2/module.hpp"
#include "proto/h2/stream.hpp"

namespace mp::proto {

// ---- from the session

bool H2Stream::take_window(std::uint32_t bytes) {
  if (bytes > input_window_ + session_.window_grace()) return false;
  input_window_ -= bytes;
  unconsumed_ += bytes;
  return true;
}

void H2Stream::change_input(std::int64_t more) {
  input_window_ += more;
  if (!window_open_) window_wanted_ += more;
}

void H2Stream::input(std::string_view bytes) {
  if (failed_ || input_unwanted_) return;
  input_.append(bytes);
  tell_reader();
}

void H2Stream::input_ended() {
  input_ended_ = true;
  tell_reader();
}

void H2Stream::tell_reader() {
  socket.readable = true;
  fiber::wake(std::exchange(reader_, {}));
  fiber::wake(std::exchange(socket.reader, {}));
}

// ---- to the request

// A body that goes into memory or a file as it comes needs no window; one that is passed on, or that waits
// for the disk while more comes, gets the room that the configuration gives it.
void H2Stream::open_window(http::Request& r) {
  if (window_open_ || input_ended_ || !open()) return;
  window_open_ = true;
  // Below the limit, because the acknowledged settings may still move the window.
  std::size_t size = kMaxH2Window / 2;
  if (r.main->body.state != http::RequestBody::State::reading || http::appends_by_thread(r)) {
    const std::size_t room = r.conf<http::CoreLocation>().client_body_buffer_size;
    size = std::min(std::max(room, session_.conf().body_preread_size.get().value), size);
  }
  window_wanted_ = static_cast<std::int64_t>(size);
  update_window(true);
}

void H2Stream::consumed(std::size_t bytes) {
  unconsumed_ -= static_cast<std::int64_t>(bytes);
  update_window(false);
}

// Not for every few bytes, unless at once.
void H2Stream::update_window(bool at_once) {
  if (input_ended_ || !open()) return;
  const std::int64_t more = window_wanted_ - unconsumed_ - input_window_;
  if (more <= 0 || (!at_once && more < window_wanted_ / 2)) return;
  input_window_ += more;
  session_.open_window(id_, static_cast<std::uint32_t>(more));
}

// The declared length and the true one must agree.
net::Io H2Stream::check_end(http::Request& r) {
  if (body_checked_ || request_.content_length_in < 0 || upgrade_) return net::Io::eof();
  body_checked_ = true;
  const auto declared = static_cast<std::uint64_t>(head_.content_length);
  if (head_.content_length < 0 || received_ == declared) return net::Io::eof();
  log::info(r.logger, "client prematurely closed stream: only {} out of {} bytes of request body received",
            received_, declared);
  return net::Io::failed(EBADMSG);
}

net::Io H2Stream::take_input(http::Request& r, std::span<char> into) {
  if (input_.empty()) {
    if (failed_) return net::Io::failed(ECANCELED);
    if (input_ended_) return check_end(r);
    socket.readable = false;
    return net::Io::again();
  }
  const std::size_t n = std::min(into.size(), input_.size());
  std::memcpy(into.data(), input_.bytes().data(), n);
  input_.consume(n);
  if (input_.empty()) input_.release();
  received_ += n;
  r.main->received_body += n;
  consumed(n);
  if (head_.content_length >= 0) {
    if (received_ > static_cast<std::uint64_t>(head_.content_length)) {
      log::info(r.logger, "client intended to send body data larger than declared");
      input_unwanted_ = true;
      return net::Io::failed(EBADMSG);
    }
  } else if (const std::int64_t limit = r.conf<http::CoreLocation>().client_max_body_size;
             limit != 0 && received_ > static_cast<std::uint64_t>(limit)) {
    input_unwanted_ = true;
    r.main->body.too_large = received_;
    return net::Io::failed(EFBIG);
  }
  return net::Io::moved(n);
}

net::Io H2Stream::try_read_body(http::Request& r, std::span<char> into) {
  if (continue_wanted_) return net::Io::again();
  return take_input(r, into);
}

net::Io H2Stream::read_body(http::Request& r, std::span<char> into) {
  if (continue_wanted_ && !send_informational(r, 100)) return net::Io::failed(EPIPE);
  open_window(r);
  const auto timeout = static_cast<fiber::Msec>(r.conf<http::CoreLocation>().client_body_timeout.get());
  const fiber::Msec deadline = fiber::now() + timeout;
  for (;;) {
    const net::Io io = take_input(r, into);
    if (io.kind != net::Io::Kind::again) return io;
    reader_ = fiber::ticket();
    const fiber::Wake why = fiber::park(deadline);
    if (why != fiber::Wake::event) reader_ = {};
    if (why == fiber::Wake::cancelled) throw fiber::Cancelled{};
    if (why == fiber::Wake::timeout) return net::Io::timeout();
  }
}

}  // namespace mp::proto
