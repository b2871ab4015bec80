// The response of an HTTP/1 exchange: framing, head, pacing, and as few writes as possible.
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "base/clock.hpp"
#include "base/put.hpp"
#include "http/core_conf.hpp"
#include "http/file_io.hpp"
#include "http/lost_client.hpp"
#include "http/piece_text.hpp"
#include "http/rate_limit.hpp"
#include "http/redirect.hpp"
#include "http/status.hpp"
#include "proto/h1/exchange.hpp"

namespace mp::proto {
namespace {

constexpr std::size_t kSmallFile = 8192;  // read into memory, to leave together with the head

char* put_number(char* p, std::int64_t number) {
  if (number >= 0 && number < 10) {
    *p = static_cast<char>('0' + number);
    return p + 1;
  }
  return std::to_chars(p, p + 20, number).ptr;
}

// The Location that this server made up, when the response has one.
const http::HeaderField* local_redirect(const http::Request& r) {
  const bool may_have = r.out.status == 201 || (r.out.status >= 300 && r.out.status < 400);
  if (!may_have || r.find_ctx<http::LocalRedirect>() == nullptr) [[likely]]
    return nullptr;
  return r.out.headers.find(http::HeaderId::location);
}

char* put_status(char* p, const http::Response& out) {
  if (out.status == 200 && out.status_line.empty()) [[likely]]
    return put(p, "HTTP/1.1 200 OK\r\n");
  p = put(p, "HTTP/1.1 ");
  const std::string_view line = out.status_line.empty() ? http::status_line(out.status) : out.status_line;
  p = line.empty() ? put(put_number(p, out.status), " ") : put(p, line);
  return put(p, "\r\n");
}

bool has_files(std::span<const http::Piece> pieces) {
  return std::any_of(pieces.begin(), pieces.end(), [](const http::Piece& p) { return p.in_file(); });
}

std::string_view bytes_of(const http::Piece& piece) {
  return piece.bytes;
}
std::string_view bytes_of(std::string_view text) {
  return text;
}

bool no_frame(int status) {
  return status == 204 || status == 304 || (status >= 100 && status < 200);
}

}  // namespace

void H1Exchange::Held::grow(Arena& arena, std::size_t bytes) {
  // A head and a kilobyte; what most requests have left of the first block of their arena.
  constexpr std::size_t kFirst = 1536;
  std::size_t bigger = capacity_ == 0 ? kFirst : capacity_ * 2;
  while (bigger - size_ < bytes) bigger *= 2;
  char* p = arena.bytes(bigger);
  if (size_ > 0) std::memcpy(p, data_, size_);
  data_ = p;
  capacity_ = bigger;
}

// ---- head

[[gnu::always_inline]] inline void H1Exchange::decide_keepalive(http::Request& r,
                                                                const http::CoreLocation& core) {
  http::Connection& c = connection_;
  if (!r.keepalive || core.keepalive_timeout == 0 || connection_.worker().shutting_down() ||
      c.requests >= static_cast<std::uint64_t>(core.keepalive_requests.get()) ||
      fiber::now() - c.started_msec > static_cast<fiber::Msec>(core.keepalive_time.get())) [[unlikely]] {
    keepalive_ = false;
  }
  const std::uint32_t disabled = core.keepalive_disable;
  if (r.method == http::Method::post &&
      (disabled & static_cast<std::uint32_t>(http::KeepaliveDisable::msie6)) &&
      r.in.value(http::HeaderId::user_agent).find("MSIE 6.") != std::string_view::npos) {
    keepalive_ = false;
  }
}

[[gnu::always_inline]] inline void H1Exchange::decide_framing(http::Request& r,
                                                              const http::CoreLocation& core, bool no_body) {
  decide_keepalive(r, core);
  chunked_ = false;
  promised_ = no_body ? -1 : r.out.content_length;
  if (no_body || no_frame(r.out.status) || r.out.content_length >= 0) return;
  if (r.version >= http::Version::http11 && core.chunked_transfer_encoding && r.out.chunk_allowed) {
    chunked_ = true;
  } else {
    keepalive_ = false;
  }
}

[[gnu::always_inline]] inline void H1Exchange::render_head(http::Request& r, const http::CoreLocation& core) {
  const http::Response& out = r.out;
  std::size_t room = 512 + out.status_line.size() + out.content_type.size() + out.charset.size();
  bool own_server = false, own_date = false;
  for (const http::HeaderField& f : out.headers) {
    room += f.name.size() + f.value.size() + 4;
    own_server |= f.id == http::HeaderId::server;
    own_date |= f.id == http::HeaderId::date;
  }
  char* const start = held_.reserve(r.arena, room);
  char* p = put_status(start, out);
  if (!own_server) [[likely]] {
    p = put(put(put(p, "Server: "), http::server_field(r)), "\r\n");
  }
  if (!own_date) [[likely]] {
    p = put(p, "Date: ");
    std::memcpy(p, clock().http_date().data(), kHttpDateSize);
    p = put(p + kHttpDateSize, "\r\n");
  }
  if (!out.content_type.empty()) {
    p = put(put(p, "Content-Type: "), out.content_type);
    if (!out.charset.empty()) [[unlikely]]
      p = put(put(p, "; charset="), out.charset);
    p = put(p, "\r\n");
  }
  if (out.content_length >= 0 && out.status != 204 && out.status >= 200) {
    p = put(put_number(put(p, "Content-Length: "), out.content_length), "\r\n");
  }
  if (out.last_modified >= 0) {
    p = put(p, "Last-Modified: ");
    write_http_date(p, out.last_modified);
    p = put(p + kHttpDateSize, "\r\n");
  }
  const http::HeaderField* location = local_redirect(r);
  if (location != nullptr) [[unlikely]]
    p = put(put(put(p, "Location: "), location->value), "\r\n");
  if (chunked_) p = put(p, "Transfer-Encoding: chunked\r\n");
  if (out.status == 101) [[unlikely]] {
    p = put(p, "Connection: upgrade\r\n");
  } else if (keepalive_) [[likely]] {
    p = put(p, "Connection: keep-alive\r\n");
    const auto seconds = static_cast<std::int64_t>(core.keepalive_header.get());
    if (seconds > 0) p = put(put_number(put(p, "Keep-Alive: timeout="), seconds), "\r\n");
  } else {
    p = put(p, "Connection: close\r\n");
  }
  for (const http::HeaderField& f : out.headers) {
    // An empty one of these two stands for none at all.
    if (f.value.empty() && (f.id == http::HeaderId::server || f.id == http::HeaderId::date)) continue;
    if (&f == location) continue;
    p = put(put(put(put(p, f.name), ": "), f.value), "\r\n");
  }
  p = put(p, "\r\n");
  held_.filled(static_cast<std::size_t>(p - start));
  head_bytes_ += static_cast<std::size_t>(p - start);
}

std::size_t H1Exchange::hold_limit(const http::CoreLocation& core) {
  const auto& wanted = core.postpone_output;
  return wanted.is_set() ? static_cast<std::size_t>(wanted) : kCopyLimit;
}

bool H1Exchange::can_hold_head() const {
  // There is none of a request that was refused.
  return !failed_ && request_ != nullptr && hold_limit(request_->conf<http::CoreLocation>()) >= kCopyLimit;
}

bool H1Exchange::send_head(http::Request& r, bool no_body) {
  if (failed_) return false;
  const auto& core = r.conf<http::CoreLocation>();
  decide_framing(r, core, no_body);
  hold_limit_ = hold_limit(core);
  if (r.version == http::Version::http09) [[unlikely]] {
    keepalive_ = false;
    chunked_ = false;
    return true;
  }
  render_head(r, core);
  // Where much may be held, a head always is: can_hold_head() has said so.
  return hold_limit_ >= kCopyLimit || held_.size() < hold_limit_ || flush(r);
}

bool H1Exchange::send_informational(http::Request& r, int status) {
  if (status == 100) continue_wanted_ = false;
  if (r.version < http::Version::http11) return true;
  std::string_view line = status == 100 ? "HTTP/1.1 100 Continue\r\n" : "HTTP/1.1 103 Early Hints\r\n";
  std::string text(line);
  if (status == 103) {
    for (const http::HeaderField& f : r.out.headers)
      text.append(f.name).append(": ").append(f.value).append("\r\n");
  }
  text.append("\r\n");
  const auto timeout = static_cast<fiber::Msec>(r.conf<http::CoreLocation>().send_timeout.get());
  const net::Io io = connection_.socket.write(text, timeout);
  head_bytes_ += io.bytes;
  return io.ok() || fail(r, io);
}

// ---- body

bool H1Exchange::send_body(http::Request& r, const http::Output& output) {
  if (failed_) return false;
  if (!chunked_ && output.last && output.pieces.size() == 1 && !output.pieces[0].in_file()) {
    const std::string_view bytes = output.pieces[0].bytes;
    const std::uint64_t size = accepted_ + bytes.size();
    if (held_.size() + bytes.size() <= kCopyLimit &&
        (promised_ < 0 || size == static_cast<std::uint64_t>(promised_)))
      return send_last(r, bytes);
  }
  if (output.last && output.pieces.empty()) return end_body(r) && flush(r);
  if (chunked_ && !output.last && !output.flush) {
    const std::size_t size = output.size();
    if (size != 0 && held_.size() + size + kFrame < hold_limit_ && !has_files(output.pieces)) {
      put_part_of_body(r, output.pieces, size);
      return true;
    }
  }
  return send_pieces(r, output);
}

bool H1Exchange::hold(http::Request& r, std::span<const std::string_view> texts) {
  std::size_t size = 0;
  for (std::string_view text : texts) size += text.size();
  if (failed_ || size == 0 || held_.size() + size + kFrame >= hold_limit_) return false;
  if (promised_ >= 0 && accepted_ + size > static_cast<std::uint64_t>(promised_)) return false;
  put_part_of_body(r, texts, size);
  return true;
}

// What is held, and the end of the body.
inline bool H1Exchange::send_last(http::Request& r, std::string_view bytes) {
  held_.append(r.arena, bytes);
  accepted_ += bytes.size();
  complete_ = true;
  return flush(r);
}

// Puts them with what is held, as one chunk where the body has chunks.
template <class Part>
inline void H1Exchange::put_part_of_body(http::Request& r, std::span<const Part> parts, std::size_t size) {
  char* const start = held_.reserve(r.arena, size + kFrame);
  char* p = chunked_ ? write_chunk_head(start, size) : start;
  for (const Part& part : parts) p = put(p, bytes_of(part));
  if (chunked_) p = put(p, "\r\n");
  held_.filled(static_cast<std::size_t>(p - start));
  accepted_ += size;
}

bool H1Exchange::send_pieces(http::Request& r, const http::Output& output) {
  std::size_t size = output.size();
  std::span<const http::Piece> pieces = output.pieces;
  bool ok = true;
  if (promised_ >= 0 && size > static_cast<std::uint64_t>(promised_) - accepted_) {
    size = static_cast<std::size_t>(static_cast<std::uint64_t>(promised_) - accepted_);
    pieces = http::first_bytes(r.arena, pieces, size);
    // The rest would be taken for the next response.
    if (!std::exchange(too_long_, true)) {
      log::warn(r.logger, "the response body is longer than its Content-Length");
    }
    keepalive_ = false;
  }
  accepted_ += size;
  if (size > 0) {
    if (chunked_) {
      char head[kMaxChunkHead];
      held_.append(r.arena, {head, static_cast<std::size_t>(write_chunk_head(head, size) - head)});
    }
    // The end of a body leaves with its last piece.
    const bool whole = chunked_ && output.last && r.out.trailers.empty();
    const std::size_t limit = output.last || output.flush ? kCopyLimit : hold_limit_;
    ok = hold_or_send(r, pieces, size, !chunked_ ? "" : whole ? "\r\n0\r\n\r\n" : "\r\n", limit);
    if (whole) {
      complete_ = true;
      return ok && flush(r);
    }
  }
  if (ok && output.last) ok = end_body(r);
  if (ok && (output.last || output.flush || held_.size() >= hold_limit_)) ok = flush(r);
  return ok;
}

bool H1Exchange::end_body(http::Request& r) {
  complete_ = true;
  if (chunked_ && r.out.trailers.empty()) [[likely]] {
    held_.append(r.arena, "0\r\n\r\n");
  } else if (chunked_) [[unlikely]] {
    held_.append(r.arena, "0\r\n");
    for (const http::HeaderField& f : r.out.trailers) {
      held_.append(r.arena, f.name);
      held_.append(r.arena, ": ");
      held_.append(r.arena, f.value);
      held_.append(r.arena, "\r\n");
    }
    held_.append(r.arena, "\r\n");
  }
  if (promised_ >= 0 && accepted_ != static_cast<std::uint64_t>(promised_)) keepalive_ = false;
  return true;
}

// Puts the pieces with what is held when that is not more than `limit` then. `tail` goes behind the pieces.
bool H1Exchange::hold_or_send(http::Request& r, std::span<const http::Piece> pieces, std::size_t size,
                              std::string_view tail, std::size_t limit) {
  const bool files = has_files(pieces);
  if (!files && held_.size() + size <= limit) {
    for (const http::Piece& piece : pieces) held_.append(r.arena, piece.bytes);
    held_.append(r.arena, tail);
    return true;
  }
  if (files && size <= kSmallFile && held_.size() + size <= 2 * kSmallFile) {
    for (const http::Piece& piece : pieces) {
      if (!piece.in_file()) {
        held_.append(r.arena, piece.bytes);
      } else if (!hold_file(r, piece)) {
        return false;
      }
    }
    held_.append(r.arena, tail);
    return true;
  }
  return send_now(r, pieces, tail);
}

bool H1Exchange::hold_file(http::Request& r, const http::Piece& piece) {
  char* p = held_.reserve(r.arena, piece.file_size);
  const ssize_t n = http::read_file(r, piece.fd, {p, piece.file_size}, piece.offset);
  if (n != static_cast<ssize_t>(piece.file_size)) {
    log::alert(r.logger, log::Errno{n < 0 ? errno : 0}, "pread() read only {} of {} from a file",
               std::max<ssize_t>(n, 0), piece.file_size);
    return fail(r, net::Io::failed(EIO));
  }
  held_.filled(piece.file_size);
  return true;
}

bool H1Exchange::send_now(http::Request& r, std::span<const http::Piece> pieces, std::string_view tail) {
  constexpr std::size_t kMost = 64;
  iovec vector[kMost + 1];
  std::size_t count = 0;
  auto add = [&](std::string_view bytes) {
    if (!bytes.empty()) vector[count++] = {const_cast<char*>(bytes.data()), bytes.size()};
  };
  add(held_.bytes());
  for (const http::Piece& piece : pieces) {
    if (!piece.in_file()) {
      add(piece.bytes);
      if (count < kMost) continue;
    }
    if (count > 0 && !send_vector(r, {vector, count}, piece.in_file())) return false;
    count = 0;
    if (piece.in_file() && !send_file(r, piece)) return false;
  }
  add(tail);
  if (count > 0 && !send_vector(r, {vector, count}, false)) return false;
  held_.clear();
  return true;
}

std::size_t H1Exchange::allowed_now(http::Request& r, std::size_t wanted) {
  return http::wait_for_rate(r, wanted, connection_.socket.bytes_written - written_before_);
}

// A second write of a response must not wait for the client to acknowledge the first.
inline void H1Exchange::send_at_once_if_second(const http::Request& r) {
  net::Socket& socket = connection_.socket;
  if (socket.bytes_written != written_before_ && r.conf<http::CoreLocation>().tcp_nodelay) [[unlikely]]
    socket.set_nodelay();
}

bool H1Exchange::send_vector(http::Request& r, std::span<iovec> pieces, bool more_follows) {
  send_at_once_if_second(r);
  if (http::rate_limit(r) != 0) return send_slowly(r, pieces);
  net::Socket& socket = connection_.socket;
  socket.more_follows = more_follows;
  const auto timeout = static_cast<fiber::Msec>(r.conf<http::CoreLocation>().send_timeout.get());
  const net::Io io = socket.write(pieces, timeout);
  return io.ok() || fail(r, io);
}

// As limit_rate allows.
bool H1Exchange::send_slowly(http::Request& r, std::span<const iovec> pieces) {
  const auto timeout = static_cast<fiber::Msec>(r.conf<http::CoreLocation>().send_timeout.get());
  for (const iovec& piece : pieces) {
    std::string_view rest{static_cast<char*>(piece.iov_base), piece.iov_len};
    while (!rest.empty()) {
      const std::size_t n = allowed_now(r, rest.size());
      const net::Io io = connection_.socket.write(rest.substr(0, n), timeout);
      if (!io.ok()) return fail(r, io);
      rest.remove_prefix(n);
    }
  }
  return true;
}

bool H1Exchange::send_file(http::Request& r, const http::Piece& piece) {
  const http::SendFile how = http::how_to_send(r, piece.fd);
  if (how == http::SendFile::by_reading) return send_file_through_buffer(r, piece);
  const auto timeout = static_cast<fiber::Msec>(r.conf<http::CoreLocation>().send_timeout.get());
  const std::size_t most = r.conf<http::FileIoConf>().sendfile_max_chunk;
  const bool limited = http::rate_limit(r) > 0;
  net::Socket& socket = connection_.socket;
  off_t offset = piece.offset;
  std::size_t left = piece.file_size;
  while (left > 0) {
    std::size_t n = limited ? allowed_now(r, left) : left;
    if (most != 0) n = std::min(n, most);
    const net::Io io = how == http::SendFile::on_thread
                           ? http::sendfile_on_thread(r, socket, piece.fd, offset, n, timeout)
                           : socket.sendfile(piece.fd, offset, n, timeout);
    if (io.kind == net::Io::Kind::eof)
      log::alert(r.logger, "sendfile() reported that the file was truncated");
    if (!io.ok()) return fail(r, io);
    offset += static_cast<off_t>(n);
    left -= n;
    if (left > 0) fiber::yield();
  }
  return true;
}

bool H1Exchange::send_file_through_buffer(http::Request& r, const http::Piece& piece) {
  const conf::Bufs& buffers = r.conf<http::FileIoConf>().output_buffers.get();
  const std::size_t room = std::min(std::max<std::size_t>(buffers.count * buffers.size, 1), piece.file_size);
  auto buffer = std::make_unique<char[]>(room);
  off_t offset = piece.offset;
  std::size_t left = piece.file_size;
  const std::size_t most = r.conf<http::FileIoConf>().sendfile_max_chunk;
  for (std::size_t at_once = 0; left > 0;) {
    const ssize_t n = http::read_file(r, piece.fd, {buffer.get(), std::min(room, left)}, offset);
    if (n <= 0) {
      log::alert(r.logger, log::Errno{n < 0 ? errno : 0}, "pread() found a file truncated");
      return fail(r, net::Io::failed(EIO));
    }
    iovec one{buffer.get(), static_cast<std::size_t>(n)};
    if (!send_vector(r, {&one, 1}, false)) return false;
    offset += n;
    left -= static_cast<std::size_t>(n);
    at_once += static_cast<std::size_t>(n);
    if (left > 0 && most != 0 && at_once >= most) {
      at_once = 0;
      fiber::yield();
    }
  }
  return true;
}

bool H1Exchange::flush(http::Request& r) {
  if (failed_) return false;
  if (held_.size() > 0) [[likely]] {
    const bool ok = send_held(r);
    held_.clear();
    if (!ok) return false;
  } else {
    connection_.send_what_is_posted();
  }
  count(r);
  return true;
}

inline bool H1Exchange::send_held(http::Request& r) {
  const std::string_view bytes = held_.bytes();
  send_at_once_if_second(r);
  if (http::rate_limit(r) != 0) [[unlikely]] {
    const iovec one{const_cast<char*>(bytes.data()), bytes.size()};
    return send_slowly(r, {&one, 1});
  }
  if (complete_ && keepalive_ && body_done_ && connection_.post(bytes)) return true;
  if (complete_ && !keepalive_) connection_.last_write_follows();
  const auto timeout = static_cast<fiber::Msec>(r.conf<http::CoreLocation>().send_timeout.get());
  connection_.socket.more_follows = false;
  const net::Io io = connection_.socket.write(bytes, timeout);
  return io.ok() || fail(r, io);
}

void H1Exchange::count(http::Request& r) {
  http::Request& main = *r.main;
  main.sent = connection_.socket.bytes_written - written_before_;
  main.body_sent = main.sent > head_bytes_ ? main.sent - head_bytes_ : 0;
}

bool H1Exchange::fail(http::Request& r, const net::Io& io) {
  failed_ = true;
  keepalive_ = false;
  held_.clear();
  count(r);
  if (io.kind == net::Io::Kind::timeout) {
    log::info(r.logger, log::Errno{ETIMEDOUT}, "client timed out");
    r.main->ctx<http::ClientTimedOut>();
    if (r.conf<http::CoreLocation>().reset_timedout_connection) connection_.socket.reset_on_close();
  } else if (io.kind == net::Io::Kind::failed) {
    log::info(r.logger, log::Errno{io.error}, "writev() failed");
  }
  return false;
}

}  // namespace mp::proto
