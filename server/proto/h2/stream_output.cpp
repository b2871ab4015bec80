// The response of an HTTP/2 stream. Small parts are copied, large ones lent: the caller waits until they are
// in frames. Frames are made by the session when there is room for them, under the client's flow control.
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "base/ascii.hpp"
#include "base/clock.hpp"
#include "base/strings.hpp"
#include "fiber/scheduler.hpp"
#include "http/core_conf.hpp"
#include "http/file_io.hpp"
#include "http/lost_client.hpp"
#include "http/piece_text.hpp"
#include "http/rate_limit.hpp"
#include "http/status.hpp"
#include "proto/h2/callbacks.hpp"
#include "proto/h2/module.hpp"
#include "proto/h2/stream.hpp"

namespace mp::proto {
namespace {

using http::HeaderField;
using http::HeaderId;

// Fields in the engine's form; names are made lower case in the arena.
class FieldVector {
 public:
  FieldVector(Arena& arena, std::size_t most)
      : arena_(arena),
        fields_(static_cast<nghttp2_nv*>(arena.allocate(most * sizeof(nghttp2_nv), alignof(nghttp2_nv)))) {}

  void add(std::string_view name, std::string_view value) {
    new (fields_ + size_++)
        nghttp2_nv{bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
  }
  void add_number(std::string_view name, std::int64_t number) {
    char* const text = arena_.bytes(20);
    add(name, {text, static_cast<std::size_t>(std::to_chars(text, text + 20, number).ptr - text)});
  }
  void add_status(int status) {
    char* const text = arena_.bytes(3);
    for (int i = 2; i >= 0; --i, status /= 10) text[i] = static_cast<char>('0' + status % 10);
    add(":status", {text, 3});
  }
  void add(const HeaderField& field) {
    if (is_for_connection(field.id)) return;
    const std::string_view known = http::header_name_lower(field.id);
    add(known.empty() ? lower(arena_, field.name) : known, trimmed(field.value));
  }

  const nghttp2_nv* data() const { return fields_; }
  std::size_t size() const { return size_; }
  std::span<nghttp2_nv> all() const { return {fields_, size_}; }

 private:
  static std::uint8_t* bytes(std::string_view text) {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
  }
  static bool is_for_connection(HeaderId id) {
    return id == HeaderId::connection || id == HeaderId::keep_alive || id == HeaderId::proxy_connection ||
           id == HeaderId::transfer_encoding || id == HeaderId::upgrade;
  }
  // RFC 9113 8.2.1: blanks at the ends of a value would make the whole response malformed.
  static std::string_view trimmed(std::string_view value) {
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
    return value;
  }

  Arena& arena_;
  nghttp2_nv* fields_;
  std::size_t size_ = 0;
};

}  // namespace

// ---- head

bool H2Stream::send_head(http::Request& r, bool no_body) {
  if (engine() == nullptr || failed_ || head_sent_) return head_sent_ && !failed_;
  const http::Response& out = r.out;
  // To the client the tunnel of an extended CONNECT begins with a 200.
  const bool tunnel = upgrade_ && out.status == 101;
  // ... and an answer of success that is no tunnel would be taken for one.
  const bool no_tunnel = upgrade_ && out.status >= 200 && out.status < 300;
  FieldVector fields(r.arena, out.headers.size() + 6);
  fields.add_status(tunnel ? 200 : no_tunnel ? 502 : out.status);
  if (out.headers.find(HeaderId::server) == nullptr) fields.add("server", http::server_field(r));
  if (out.headers.find(HeaderId::date) == nullptr) fields.add("date", r.arena.copy(clock().http_date()));
  if (!out.content_type.empty()) {
    fields.add("content-type", out.charset.empty()
                                   ? out.content_type
                                   : r.arena.concat(out.content_type, "; charset=", out.charset));
  }
  if (out.content_length >= 0 && out.status != 204) fields.add_number("content-length", out.content_length);
  if (out.last_modified >= 0) {
    char* const date = r.arena.bytes(kHttpDateSize);
    write_http_date(date, out.last_modified);
    fields.add("last-modified", {date, kHttpDateSize});
  }
  for (const HeaderField& field : out.headers) {
    if (tunnel && field.id == HeaderId::sec_websocket_accept) continue;
    // An empty one of these two stands for none at all.
    if (field.value.empty() && (field.id == HeaderId::server || field.id == HeaderId::date)) continue;
    fields.add(field);
  }
  head_fields_ = fields.all();
  promised_ = no_body ? -1 : out.content_length;
  head_sent_ = true;
  ending_ = no_body || (out.content_length == 0 && out.trailers.empty());
  if (ending_) return hand_head_over(true);
  head_waits_ = true;
  session_.keep_head(*this);
  return true;
}

void H2Stream::submit_head() {
  if (!std::exchange(head_waits_, false)) return;
  session_.forget_head(*this);
  if (engine() != nullptr && !failed_) (void)hand_head_over(false);
}

// Frames are made at once when there is room for them: then the engine need not copy the fields, and this
// stream is done before the next one is looked at.
bool H2Stream::hand_head_over(bool last) {
  const bool now = session_.room_in_output();
  for (nghttp2_nv& field : head_fields_) {
    field.flags = now ? NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE : NGHTTP2_NV_FLAG_NONE;
  }
  nghttp2_data_provider body{{.ptr = nullptr}, H2Callbacks::read_body};
  const int rc = nghttp2_submit_response(engine(), id_, head_fields_.data(), head_fields_.size(),
                                         last ? nullptr : &body);
  if (rc != 0) {
    log::crit(request_.logger, "the head of an HTTP/2 response was refused: {}", nghttp2_strerror(rc));
    failed_ = true;
    return false;
  }
  ++heads_queued_;
  if (!now) {
    session_.schedule();
    return true;
  }
  session_.make_frames([this] { return end_made_; });
  // The engine may not read the fields later.
  if (heads_queued_ > 0) session_.engine_failed();
  return true;
}

bool H2Stream::send_informational(http::Request& r, int status) {
  if (status == 100) continue_wanted_ = false;
  if (engine() == nullptr || failed_ || head_sent_) return !failed_;
  FieldVector fields(r.arena, r.out.headers.size() + 1);
  fields.add_status(status);
  if (status == 103) {
    for (const HeaderField& field : r.out.headers) fields.add(field);
  }
  if (nghttp2_submit_headers(engine(), NGHTTP2_FLAG_NONE, id_, nullptr, fields.data(), fields.size(),
                             nullptr) == 0) {
    ++heads_queued_;
  }
  session_.schedule();
  return true;
}

// ---- what the session asks for while it makes frames

std::size_t H2Stream::longest_frame() const {
  return request_.conf<H2Location>().chunk_size;
}

ssize_t H2Stream::offer(std::size_t most, std::uint32_t& flags) {
  const std::size_t there = failed_ ? 0 : held_.size() + lent_left_;
  std::size_t n = std::min({there, most, static_cast<std::size_t>(allowed_ - taken_)});
  if (n == 0 && (failed_ || !ending_ || there > 0)) {
    deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  if (n > 0 && files_lent_) {
    // Files are read straight to where the frame will be, which is known only when there is room for it.
    if (!session_.room_in_output()) return NGHTTP2_ERR_PAUSE;
    n = fill(session_.next_payload(n), n);
    filled_ = n > 0;
    if (n == 0) {
      deferred_ = true;
      return NGHTTP2_ERR_DEFERRED;
    }
  }
  flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (ending_ && n == there) {
    flags |= NGHTTP2_DATA_FLAG_EOF;
    if (submit_trailers()) flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
  }
  return static_cast<ssize_t>(n);
}

bool H2Stream::submit_trailers() {
  const http::Headers& trailers = request_.out.trailers;
  if (trailers.empty()) return false;
  FieldVector fields(request_.arena, trailers.size());
  for (const HeaderField& field : trailers) fields.add(field);
  return nghttp2_submit_trailer(engine(), id_, fields.data(), fields.size()) == 0;
}

bool H2Stream::take(const std::uint8_t* frame_head, std::size_t size, OutputBuffer& out) {
  if (size > held_.size() + lent_left_) return false;  // it was taken back
  char* const p = out.reserve(kH2FrameHead + size);
  std::memcpy(p, frame_head, kH2FrameHead);
  if (!std::exchange(filled_, false)) (void)fill(p + kH2FrameHead, size);
  out.grew(kH2FrameHead + size);
  const std::size_t held = std::min(size, held_.size());
  held_.consume(held);
  lent_left_ -= size - held;
  for (lent_done_ += size - held; !lent_.empty() && lent_done_ >= lent_.front().size();) {
    lent_done_ -= lent_.front().size();
    lent_ = lent_.subspan(1);
  }
  taken_ += size;
  if (lent_left_ == 0) progress_.notify_all();
  tell_writer();
  return true;
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

void H2Stream::frame_sent(const nghttp2_frame_hd& frame, std::uint64_t position) {
  last_frame_ = position;
  const std::uint64_t size = kH2FrameHead + frame.length;
  sent_ += size;
  if (frame.type == NGHTTP2_HEADERS) {
    head_sent_bytes_ += size;
    if (heads_queued_ > 0) --heads_queued_;  // or these are trailers
  }
  if ((frame.flags & NGHTTP2_FLAG_END_STREAM) != 0) end_made_ = true;
  progress_.notify_all();
}

void H2Stream::head_lost(int error) {
  if (heads_queued_ > 0) --heads_queued_;
  if (failed_ || end_made_) return;
  // The connection or the stream may just be ending, because of the client.
  const bool ending = error == NGHTTP2_ERR_SESSION_CLOSING || error == NGHTTP2_ERR_STREAM_CLOSED ||
                      error == NGHTTP2_ERR_STREAM_CLOSING;
  log::write(ending ? log::Level::info : log::Level::crit, request_.logger,
             "the head of an HTTP/2 response could not be sent: {}", nghttp2_strerror(error));
  failed_ = true;
  progress_.notify_all();
}

void H2Stream::kernel_took() {
  progress_.notify_all();
}

// ---- body

void H2Stream::resume() {
  if (engine() == nullptr) return;
  if (head_waits_) return submit_head();
  if (std::exchange(deferred_, false)) nghttp2_session_resume_data(engine(), id_);
  session_.schedule();
}

bool H2Stream::all_taken() const {
  if (!held_.empty() || lent_left_ > 0) return false;
  // The end need not be waited for where nothing holds it up.
  if (ending_) return end_made_ && (session_.flows() || session_.written() >= last_frame_);
  return session_.written() >= last_frame_;
}

// Until what was lent is in frames, or until the kernel has everything.
bool H2Stream::wait_for_output(http::Request& r, bool for_kernel) {
  while (for_kernel ? !all_taken() : lent_left_ > 0) {
    if (failed_ || engine_lost()) return false;
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
  if (failed_ || engine_lost()) return false;
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
    if (!send_lent(r, output, {size, files, output.last && !incomplete, limited})) return false;
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

// Copies what does not go into frames at once; more may be about to follow what is not to be flushed.
void H2Stream::accept_small(const http::Output& output, std::size_t size) {
  const bool hold = head_waits_ && !output.last && !output.flush;
  std::span<const http::Piece> pieces = output.pieces;
  if (head_waits_ && !hold) {
    lent_ = pieces;
    lent_left_ = size;
    submit_head();
    pieces = std::exchange(lent_, {});
    lent_left_ = 0;
  }
  std::size_t skip = std::exchange(lent_done_, 0);
  for (const http::Piece& piece : pieces) {
    held_.append(piece.bytes.substr(skip));
    skip = 0;
  }
  if (!hold) resume();
}

// The caller's memory and files go into frames as they are wanted; it gets them back when it returns.
bool H2Stream::send_lent(http::Request& r, const http::Output& output, const Lending& what) {
  struct Lent {
    H2Stream& stream;
    ~Lent() {
      if (stream.lent_left_ > 0) stream.failed_ = true;
      stream.lent_ = {};
      stream.lent_left_ = stream.lent_done_ = 0;
      stream.files_lent_ = false;
      stream.cold_ = {};
      std::vector<char>().swap(stream.warm_);
      stream.progress_.notify_all();
    }
  } lent{*this};
  lent_ = output.pieces;
  while (!lent_.empty() && lent_.front().size() == 0) lent_ = lent_.subspan(1);
  lent_left_ = what.size;
  files_lent_ = what.files;
  if (what.last) ending_ = true;
  if (engine() != nullptr) {
    // Round robin among long responses.
    const nghttp2_extpri fair = {NGHTTP2_EXTPRI_DEFAULT_URGENCY, 1};
    nghttp2_session_change_extpri_stream_priority(engine(), id_, &fair, 1);
  }
  if (!what.limited) {
    resume();
    return wait_for_output(r, false);
  }
  while (lent_left_ > 0) {
    allowed_ = taken_;
    const std::size_t n = http::wait_for_rate(r, held_.size() + lent_left_, sent_);
    if (failed_ || engine_lost()) return false;
    allowed_ = taken_ + n;
    resume();
    const std::uint64_t goal = allowed_;
    while (taken_ < goal && lent_left_ > 0) {
      if (failed_ || engine_lost() || !wait_for_progress(r)) return false;
    }
  }
  allowed_ = UINT64_MAX;
  resume();
  return true;
}

bool H2Stream::flush(http::Request& r) {
  if (!head_sent_) return !failed_;
  submit_head();
  const bool ok = wait_for_output(r, true);
  session_.forget_wait(*this);
  count(r);
  return ok;
}

void H2Stream::count(http::Request& r) {
  http::Request& main = *r.main;
  main.sent = sent_;
  main.body_sent = sent_ - head_sent_bytes_;
}

}  // namespace mp::proto
