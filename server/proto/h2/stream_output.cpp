// The body of an HTTP/2 stream's response. Small parts are copied, large ones lent: the caller waits until
// they are in frames. Frames are made when there is room for them, under the client's flow control.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "fiber/scheduler.hpp"
#include "http/core_conf.hpp"
#include "http/file_io.hpp"
#include "http/lost_client.hpp"
#include "http/piece_text.hpp"
#include "http/rate_limit.hpp"
#include "proto/h2/module.hpp"
#include "proto/h2/stream.hpp"

namespace mp::proto {

// ---- frames

bool H2Stream::open_output(std::int64_t bytes) {
  output_window_ += bytes;
  if (output_window_ > static_cast<std::int64_t>(kMaxH2Window)) return false;
  if (wants_turn()) session_.queue(*this);
  return true;
}

// Of the next DATA frame.
std::size_t H2Stream::next_size() const {
  const std::int64_t window =
      std::clamp<std::int64_t>(session_.output_window(), 0, std::max<std::int64_t>(output_window_, 0));
  const std::size_t longest =
      std::min<std::size_t>(request_.conf<H2Location>().chunk_size, session_.longest_frame());
  return std::min(
      {left(), longest, static_cast<std::size_t>(allowed_ - taken_), static_cast<std::size_t>(window)});
}

bool H2Stream::wants_turn() const {
  if (!head_sent_ || end_made_ || failed_ || !open()) return false;
  if (head_waits_) return true;
  if (left() == 0) return ending_;
  return output_window_ > 0 && allowed_ > taken_ && (cold_.piece == nullptr || !warm_.empty());
}

bool H2Stream::make_frame() {
  if (!open() || failed_) return false;
  if (!head_sent_ || end_made_) return false;
  if (head_waits_) {
    write_head();
    progress_.notify_all();
    return true;
  }
  std::size_t size = next_size();
  if (size == 0 && (left() > 0 || !ending_)) return false;
  // Files are read straight to where the frame will be.
  char* const to = session_.reserve(kH2FrameHead + size) + kH2FrameHead;
  const std::size_t filled = fill(to, size);
  if (filled < size) {
    if (filled == 0) return false;
    size = filled;
  }
  const bool last = ending_ && size == left();
  const bool trailers = last && !request_.out.trailers.empty();
  if (size > 0 || !trailers) {
    session_.frame(H2Type::data, last && !trailers ? h2_flag::kEndStream : 0, id_, size);
    advance(size);
    sent_ += kH2FrameHead + size;
    overhead_ += kH2FrameHead;
    last_frame_ = session_.made();
  }
  if (trailers) write_trailers();
  if (last) end_made_ = true;
  progress_.notify_all();
  return true;
}

void H2Stream::advance(std::size_t size) {
  output_window_ -= static_cast<std::int64_t>(size);
  taken_ += size;
  const std::size_t held = std::min(size, held_.size());
  held_.consume(held);
  lent_left_ -= size - held;
  for (lent_done_ += size - held; !lent_.empty() && lent_done_ >= lent_.front().size();) {
    lent_done_ -= lent_.front().size();
    lent_ = lent_.subspan(1);
  }
  tell_writer();
}

// The next bytes, up to `size`; fewer where a file would have to be waited for.
std::size_t H2Stream::fill(char* to, std::size_t size) {
  std::size_t done = std::min(size, held_.size());
  if (done > 0) std::memcpy(to, held_.bytes().data(), done);
  std::size_t skip = lent_done_;
  for (const http::Piece& piece : lent_) {
    const std::size_t n = std::min(size - done, piece.size() - skip);
    if (n > 0 && !piece.in_file()) std::memcpy(to + done, piece.bytes.data() + skip, n);
    const std::size_t got = piece.in_file() ? fill_from_file(to + done, piece, skip, n) : n;
    done += got;
    if (got < n || done == size) break;
    skip = 0;
  }
  return done;
}

std::size_t H2Stream::fill_from_file(char* to, const http::Piece& piece, std::size_t skip, std::size_t size) {
  const off_t at = piece.offset + static_cast<off_t>(skip);
  if (&piece == cold_.piece && at >= cold_.at && at < cold_.at + static_cast<off_t>(warm_.size())) {
    const auto from = static_cast<std::size_t>(at - cold_.at);
    const std::size_t n = std::min(size, warm_.size() - from);
    std::memcpy(to, warm_.data() + from, n);
    return n;
  }
  const ssize_t n = http::read_file_now(request_, piece.fd, {to, size}, at);
  if (n > 0) return static_cast<std::size_t>(n);
  if (n < 0 && errno == EAGAIN) {
    cold_ = {&piece, at};
    warm_.clear();
  } else {
    file_failed(n);
  }
  progress_.notify_all();
  return 0;
}

void H2Stream::file_failed(ssize_t result) {
  log::alert(request_.logger, log::Errno{result < 0 ? errno : 0}, "pread() found a file truncated");
  failed_ = true;
}

// On the request's fiber: waits for the disk, which the fiber that makes frames may not.
void H2Stream::warm_up(http::Request& r) {
  constexpr off_t kRoom = 64 * 1024;
  const http::Piece& piece = *cold_.piece;
  const off_t end = piece.offset + static_cast<off_t>(piece.file_size);
  std::vector<char> bytes(static_cast<std::size_t>(std::min(kRoom, end - cold_.at)));
  const ssize_t n = http::read_file(r, piece.fd, bytes, cold_.at);
  if (n <= 0) return file_failed(n);
  bytes.resize(static_cast<std::size_t>(n));
  warm_ = std::move(bytes);
  resume();
}

// ---- body

void H2Stream::resume() {
  if (!wants_turn()) return;
  session_.queue(*this);
  session_.schedule();
}

bool H2Stream::all_taken() const {
  if (left() > 0 || head_waits_) return false;
  // The end need not be waited for where nothing holds it up.
  if (ending_) return end_made_ && (session_.flows() || session_.written() >= last_frame_);
  return session_.written() >= last_frame_;
}

// Until what was lent is in frames, or until the kernel has everything.
bool H2Stream::wait_for_output(http::Request& r, bool for_kernel) {
  while (for_kernel ? !all_taken() : lent_left_ > 0) {
    if (failed_ || output_lost()) return false;
    if (for_kernel && last_frame_ > session_.written()) session_.wait_for_kernel(*this);
    if (!wait_for_progress(r)) return false;
  }
  return !failed_;
}

// The time is that between two steps.
bool H2Stream::wait_for_progress(http::Request& r) {
  if (cold_.piece != nullptr && warm_.empty()) {
    warm_up(r);
    return !failed_;
  }
  const auto timeout = static_cast<fiber::Msec>(r.conf<http::CoreLocation>().send_timeout.get());
  if (progress_.wait(fiber::now() + timeout)) return true;
  log::info(r.logger, log::Errno{ETIMEDOUT}, "client timed out");
  failed_ = timed_out_ = true;
  r.main->ctx<http::ClientTimedOut>();
  return false;
}

bool H2Stream::send_body(http::Request& r, const http::Output& output) {
  // A light thread may write while another one waits here.
  while (lent_left_ > 0 && !failed_) progress_.wait();
  if (failed_ || output_lost()) return false;
  if (ending_) return flush(r);
  if (promised_ >= 0 && output.size() > static_cast<std::uint64_t>(promised_) - accepted_) {
    if (!std::exchange(too_long_, true)) {
      log::warn(r.logger, "the response body is longer than its Content-Length");
    }
    const auto left = static_cast<std::size_t>(static_cast<std::uint64_t>(promised_) - accepted_);
    return send_body(r, {http::first_bytes(r.arena, output.pieces, left), output.last, output.flush});
  }
  const std::size_t size = output.size();
  accepted_ += size;
  const bool files = std::any_of(output.pieces.begin(), output.pieces.end(),
                                 [](const http::Piece& p) { return p.in_file(); });
  if (files && http::reads_specially(r)) {
    accepted_ -= size;
    return http::in_memory(r, output, [&](const http::Output& part) { return send_body(r, part); });
  }
  const bool incomplete = output.last && promised_ >= 0 && accepted_ < static_cast<std::uint64_t>(promised_);
  const bool limited = size > 0 && http::rate_limit(r) > 0;
  if (!files && !limited && held_.size() + size <= kHoldLimit) {
    if (output.last && !incomplete) ending_ = true;
    if (size > 0 || ending_) accept_small(output, size);
  } else {
    if (!send_lent(r, output, {size, output.last && !incomplete, limited})) return false;
  }
  if (incomplete) {
    (void)flush(r);
    failed_ = true;
    return false;
  }
  if (output.last || output.flush) return flush(r);
  count(r);
  return true;
}

// Into frames what goes there at once, with the head in front, unless more may be about to follow; the rest
// is copied.
void H2Stream::accept_small(const http::Output& output, std::size_t size) {
  std::span<const http::Piece> pieces = output.pieces;
  if (output.last || output.flush) {
    lent_ = pieces;
    lent_left_ = size;
    while (session_.room_in_output() && make_frame()) continue;
    session_.schedule();
    pieces = std::exchange(lent_, {});
    lent_left_ = 0;
  }
  std::size_t skip = std::exchange(lent_done_, 0);
  for (const http::Piece& piece : pieces) {
    held_.append(piece.bytes.substr(skip));
    skip = 0;
  }
  resume();
}

// The caller's memory and files go into frames as they are wanted; it gets them back when it returns.
bool H2Stream::send_lent(http::Request& r, const http::Output& output, const Lending& what) {
  struct Lent {
    H2Stream& stream;
    ~Lent() {
      if (stream.lent_left_ > 0) stream.failed_ = true;
      stream.lent_ = {};
      stream.lent_left_ = stream.lent_done_ = 0;
      stream.cold_ = {};
      std::vector<char>().swap(stream.warm_);
      stream.progress_.notify_all();
    }
  } lent{*this};
  lent_ = output.pieces;
  while (!lent_.empty() && lent_.front().size() == 0) lent_ = lent_.subspan(1);
  lent_left_ = what.size;
  if (what.last) ending_ = true;
  if (!what.limited) {
    // The beginning at once, as far as there is room for it; the rest takes turns with others.
    if (head_waits_) {
      while (session_.room_in_output() && make_frame()) continue;
      session_.schedule();
    }
    resume();
    return wait_for_output(r, false);
  }
  while (lent_left_ > 0) {
    allowed_ = taken_;
    const std::size_t n = http::wait_for_rate(r, left(), sent_);
    if (failed_ || output_lost()) return false;
    allowed_ = taken_ + n;
    resume();
    const std::uint64_t goal = allowed_;
    while (taken_ < goal && lent_left_ > 0) {
      if (failed_ || output_lost() || !wait_for_progress(r)) return false;
    }
  }
  allowed_ = UINT64_MAX;
  resume();
  return true;
}

bool H2Stream::flush(http::Request& r) {
  if (!head_sent_) return !failed_;
  const bool ok = wait_for_output(r, true);
  session_.forget_wait(*this);
  count(r);
  return ok;
}

void H2Stream::count(http::Request& r) {
  http::Request& main = *r.main;
  main.sent = sent_;
  main.body_sent = sent_ - overhead_;
}

}  // namespace mp::proto
