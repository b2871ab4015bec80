// The request on its way to the server: its head with the body behind it, or the body in pieces as the client
// sends it.
#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include <sys/socket.h>
#include <sys/uio.h>

#include "fiber/fiber.hpp"
#include "http/body.hpp"
#include "http/core_conf.hpp"
#include "http/direct_body.hpp"
#include "http/file_io.hpp"
#include "net/splice.hpp"
#include "upstream/h2_exchange.hpp"
#include "upstream/transfer.hpp"

namespace mp::upstream {

using http::RequestBody;

namespace {
iovec piece_of(std::string_view text) {
  return {const_cast<char*>(text.data()), text.size()};
}
}  // namespace

// Reads the client's body first, unless it is to be passed on as it comes.
int Transfer::take_body() {
  const bool stream = !conf_.request_buffering && !r_.is_sub() && r_.exchange != nullptr &&
                      dialect_.may_stream(r_) && r_.body.state == RequestBody::State::unread &&
                      (r_.chunked_in || r_.content_length_in > 0);
  return stream ? read_ahead() : http::read_body(r_);
}

// Takes what has come already: when that is all, there is nothing to stream.
int Transfer::read_ahead() {
  std::size_t room = r_.conf<http::CoreLocation>().client_body_buffer_size;
  if (r_.content_length_in > 0) room = std::min(room, static_cast<std::size_t>(r_.content_length_in));
  char* const buffer = r_.arena.bytes(room);
  std::size_t used = 0;
  bool complete = false;
  while (used < room) {
    const net::Io io = r_.exchange->try_read_body(r_, {buffer + used, room - used});
    if (io.kind == net::Io::Kind::again) break;
    complete = io.kind == net::Io::Kind::eof;
    if (complete) break;
    if (!io.ok()) return http::body_failure_status(r_, io);
    used += io.bytes;
  }
  if (complete || r_.exchange->body_complete()) {
    if (used > 0) r_.body.parts.push_back({buffer, used});
    r_.body.size = used;
    r_.body.state = RequestBody::State::read;
    return 0;
  }
  ahead_ = {buffer, used};
  r_.body.state = RequestBody::State::discarded;
  streamed_ = true;
  return 0;
}

// The requests of one pass leave one after the other. May park.
std::uint32_t Transfer::send_request() {
  fiber::line_up();
  request_sent_ = true;
  if (streamed_) {
    send_apart(&Transfer::run_stream);
    return link_->has_input() || has_last_words(send_failure_) ? std::uint32_t{kNoFailure} : send_failure_;
  }
  // A server that has HTTP/2 may answer and want the rest all the same.
  const bool may_answer_between = link_->exchange != nullptr && dialect_.sends_body();
  if (may_answer_between && r_.body.size > H2Exchange::kMostHeld) {
    send_apart(&Transfer::run_stored);
    return send_failure_;
  }
  const std::uint32_t failure = send_stored();
  // What came over a kept connection may have been said before this request: that one can be made again.
  if (failure == kNoFailure || link_was_stale() || !has_last_words(failure)) return failure;
  early_answer_ = true;
  body_finished();
  return kNoFailure;
}

// A server that has closed the connection, so that sending failed, may have said why before: that is there to
// be read.
bool Transfer::has_last_words(std::uint32_t send_failure) {
  if (send_failure != kFailedError || link_->exchange != nullptr || !link_->peek().ok()) return false;
  link_->readable = true;
  return true;
}

std::uint32_t Transfer::send_stored() {
  if (dialect_.frames_body()) return send_framed(request_head_);
  if (r_.body.size != 0) return send_stored_body();
  iovec head[] = {piece_of(request_head_)};
  if (const auto failure = send_bytes(head, false)) return failure;
  body_finished();
  return kNoFailure;
}

// The head with the body behind it.
std::uint32_t Transfer::send_stored_body() {
  constexpr std::size_t kMostPieces = 32;
  iovec pieces[kMostPieces];
  std::size_t count = 0;
  auto add = [&](std::string_view bytes) {
    pieces[count++] = {const_cast<char*>(bytes.data()), bytes.size()};
    if (count < kMostPieces) return std::uint32_t{kNoFailure};
    return send_bytes({pieces, std::exchange(count, 0)}, true);
  };
  if (const auto failure = add(request_head_)) return failure;
  const RequestBody& body = r_.body;
  const http::TempFile* file = dialect_.sends_body() ? body.stored() : nullptr;
  if (file == nullptr && dialect_.sends_body()) {
    for (std::string_view part : body.parts) {
      if (const auto failure = add(part)) return failure;
    }
  }
  if (count > 0) {
    if (const auto failure = send_bytes({pieces, count}, file != nullptr)) return failure;
  }
  if (file != nullptr) {
    if (const auto failure = send_file(file->fd(), 0, file->size())) return failure;
  }
  body_finished();
  return kNoFailure;
}

// The same when the body travels in frames.
std::uint32_t Transfer::send_framed(std::string_view head) {
  const RequestBody& body = r_.body;
  const http::TempFile* file = dialect_.sends_body() ? body.stored() : nullptr;
  if (file == nullptr && dialect_.sends_body()) {
    for (std::string_view part : body.parts) {
      if (const auto failure = send_frame(std::exchange(head, {}), part, true)) return failure;
    }
  }
  for (std::uint64_t at = 0; file != nullptr && at < file->size();) {
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(file->size() - at, Dialect::kMaxFrame));
    char opening[Dialect::kMaxFrameHead];
    iovec front[] = {piece_of(std::exchange(head, {})), {opening, dialect_.open_frame(opening, n)}};
    if (const auto failure = send_bytes(front, true)) return failure;
    if (const auto failure = send_file(file->fd(), static_cast<off_t>(at), n)) return failure;
    iovec closing[] = {piece_of(dialect_.close_frame(n))};
    if (const auto failure = send_bytes(closing, true)) return failure;
    at += n;
  }
  iovec end[] = {piece_of(head), piece_of(dialect_.end_body())};
  if (const auto failure = send_bytes(end, false)) return failure;
  body_finished();
  return kNoFailure;
}

std::uint32_t Transfer::send_frame(std::string_view head, std::string_view bytes, bool more_follows) {
  do {
    const std::string_view part = bytes.substr(0, Dialect::kMaxFrame);
    bytes.remove_prefix(part.size());
    char opening[Dialect::kMaxFrameHead];
    const std::size_t size = part.empty() ? 0 : dialect_.open_frame(opening, part.size());
    iovec pieces[] = {piece_of(std::exchange(head, {})),
                      {opening, size},
                      piece_of(part),
                      piece_of(part.empty() ? std::string_view() : dialect_.close_frame(part.size()))};
    if (const auto failure = send_bytes(pieces, more_follows || !bytes.empty())) return failure;
  } while (!bytes.empty());
  return kNoFailure;
}

void Transfer::body_finished() {
  body_sent_ = !early_answer_;
  const std::int64_t timeout = Target::either(balancer_->target.read_timeout, conf_.read_timeout);
  head_deadline_ = fiber::now() + static_cast<fiber::Msec>(timeout);
}

// A server that has answered already need not be sent the rest.
bool Transfer::answered_early() {
  return link_->has_input() && link_->peek().kind != net::Io::Kind::again;
}

std::uint32_t Transfer::wait_to_send() {
  const std::int64_t timeout = Target::either(balancer_->target.send_timeout, conf_.send_timeout);
  const fiber::Msec deadline = fiber::now() + static_cast<fiber::Msec>(timeout);
  // Then another fiber waits for the answer.
  if (apart_) return link_->wait_writable(deadline) ? kNoFailure : kFailedTimeout;
  // An answer first: a server that has answered and closed is writable, too.
  while (!answered_early()) {
    if (link_->writable) return kNoFailure;
    const net::WaitFor what[] = {{link_.get(), false}, {link_.get(), true}};
    if (!net::wait_any(what, deadline)) return kFailedTimeout;
  }
  early_answer_ = true;
  return kNoFailure;
}

std::uint32_t Transfer::send_bytes(std::span<iovec> pieces, bool more_follows) {
  while (!early_answer_) {
    while (!pieces.empty() && pieces.front().iov_len == 0) pieces = pieces.subspan(1);
    if (pieces.empty()) break;
    link_->more_follows = more_follows;
    const net::Io io = link_->try_write(pieces);
    if (io.kind == net::Io::Kind::failed) {
      log_io(io, pieces.size() > 1 ? "writev()" : "send()");
      return kFailedError;
    }
    for (std::size_t left = io.bytes; left > 0;) {
      iovec& piece = pieces.front();
      const std::size_t n = std::min(left, piece.iov_len);
      piece.iov_base = static_cast<char*>(piece.iov_base) + n;
      piece.iov_len -= n;
      left -= n;
      if (piece.iov_len == 0) pieces = pieces.subspan(1);
    }
    if (pieces.empty()) break;
    if (link_->writable) continue;
    if (const auto failure = wait_to_send()) return failure;
  }
  return kNoFailure;
}

std::uint32_t Transfer::send_file(int fd, off_t offset, std::size_t size) {
  if (link_->layer() != nullptr) return send_file_by_reading(fd, offset, size);
  while (size > 0 && !early_answer_) {
    const net::Io io = link_->try_sendfile(fd, offset, size);
    if (io.kind == net::Io::Kind::failed || io.kind == net::Io::Kind::eof) {
      log_io(io, "sendfile()");
      return kFailedError;
    }
    offset += static_cast<off_t>(io.bytes);
    size -= io.bytes;
    if (io.kind != net::Io::Kind::again) continue;
    if (const auto failure = wait_to_send()) return failure;
  }
  return kNoFailure;
}

// What encrypts or makes frames wants the bytes themselves.
std::uint32_t Transfer::send_file_by_reading(int fd, off_t offset, std::size_t size) {
  constexpr std::size_t kRoom = 64 * 1024;
  const auto buffer = std::make_unique<char[]>(std::min(kRoom, size));
  while (size > 0 && !early_answer_) {
    const ssize_t n = http::read_file(r_, fd, {buffer.get(), std::min(kRoom, size)}, offset);
    if (n <= 0) {
      log_io(net::Io::failed(n < 0 ? errno : EIO), "pread()");
      return kFailedError;
    }
    offset += n;
    size -= static_cast<std::size_t>(n);
    iovec piece[] = {{buffer.get(), static_cast<std::size_t>(n)}};
    if (const auto failure = send_bytes(piece, size > 0)) return failure;
  }
  return kNoFailure;
}

// ---- a body that is sent apart

// Runs on its own fiber until everything is sent; the request's fiber reads the answer meanwhile.
void Transfer::send_apart(void (Transfer::*send)()) {
  send_failure_ = kNoFailure;
  apart_ = true;
  sender_.emplace().spawn([this, send] {
    (this->*send)();
    fiber::wake(reader_);
  });
}

void Transfer::run_stored() {
  send_failure_ = send_stored();
}

void Transfer::run_stream() {
  send_failure_ = write_streamed(request_head_, ahead_, false);
  const std::size_t room = std::max<std::size_t>(r_.conf<http::CoreLocation>().client_body_buffer_size, 4096);
  char* buffer = nullptr;
  auto* const direct = dialect_.frames_body() ? nullptr : dynamic_cast<http::DirectBody*>(r_.exchange);
  while (send_failure_ == kNoFailure) {
    if (direct != nullptr) {
      send_failure_ = move_stream(*direct);
      if (send_failure_ != kNoFailure) return;
    }
    if (buffer == nullptr) buffer = r_.arena.bytes(room);
    const net::Io io = r_.exchange->read_body(r_, {buffer, room});
    if (!io.ok() && io.kind != net::Io::Kind::eof) {
      body_failure_ = http::body_failure_status(r_, io);
      return;
    }
    // The end goes with the last piece when both have come together.
    const bool last = !io.ok() || r_.exchange->body_complete();
    send_failure_ = write_streamed({}, {buffer, io.ok() ? io.bytes : 0}, last);
    if (last) {
      if (send_failure_ == kNoFailure) body_finished();
      return;
    }
  }
}

// What has come of a large body goes from the client's socket to the server's without being copied here,
// where nothing has to look at it. Nobody holds a pipe while the client is waited for: that is read_body()'s
// business.
std::uint32_t Transfer::move_stream(http::DirectBody& body) {
  constexpr std::uint64_t kWorthAPipe = 128 * 1024;
  std::uint64_t left = 0;
  net::Socket* const from = body.direct_body(left);
  if (from == nullptr || !from->readable || left < kWorthAPipe || !net::Splice::fits(*from, *link_)) {
    return kNoFailure;
  }
  net::Splice pipe;
  if (!pipe.open()) return kNoFailure;
  while (left > 0) {
    const net::Io io = pipe.take(*from, static_cast<std::size_t>(left));
    if (!io.ok()) return kNoFailure;  // the next read finds the same
    body.took_direct(r_, io.bytes);
    left -= io.bytes;
    while (pipe.held() > 0) {
      const net::Io sent = pipe.give(*link_);
      if (sent.kind == net::Io::Kind::failed) {
        log_io(sent, "send()");
        return kFailedError;
      }
      if (sent.kind != net::Io::Kind::again) continue;
      if (const auto failure = wait_to_send()) return failure;
    }
  }
  return kNoFailure;
}

std::uint32_t Transfer::write_streamed(std::string_view head, std::string_view bytes, bool last) {
  if (!dialect_.frames_body()) {
    iovec pieces[] = {piece_of(head), piece_of(bytes)};
    return send_bytes(pieces, false);
  }
  if (!head.empty() || !bytes.empty()) {
    if (const auto failure = send_frame(head, bytes, last)) return failure;
  }
  iovec end[] = {piece_of(last ? dialect_.end_body() : std::string_view())};
  return last ? send_bytes(end, false) : std::uint32_t{kNoFailure};
}

}  // namespace mp::upstream
