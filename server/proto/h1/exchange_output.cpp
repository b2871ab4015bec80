// The body of an HTTP/1 response: framing, pacing, and as few writes as possible.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/put.hpp"
#include "http/core_conf.hpp"
#include "http/file_io.hpp"
#include "http/lost_client.hpp"
#include "http/piece_text.hpp"
#include "http/rate_limit.hpp"
#include "proto/h1/exchange.hpp"

namespace mp::proto {
namespace {

constexpr std::size_t kSmallFile = 8192;  // read into memory, to leave together with the head

bool has_files(std::span<const http::Piece> pieces) {
  return std::any_of(pieces.begin(), pieces.end(), [](const http::Piece& p) { return p.in_file(); });
}

std::string_view bytes_of(const http::Piece& piece) {
  return piece.bytes;
}
std::string_view bytes_of(std::string_view text) {
  return text;
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
  return hold_part(r, output) || send_pieces(r, output);
}

// Of a body in chunks, as long as little is held. False: nothing was done.
[[gnu::noinline]] bool H1Exchange::hold_part(http::Request& r, const http::Output& output) {
  if (!chunked_ || output.last || output.flush) return false;
  const std::size_t size = output.size();
  if (size == 0 || held_.size() + size + kFrame >= hold_limit_ || has_files(output.pieces)) return false;
  put_part_of_body(r, output.pieces, size);
  return true;
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
    put_trailers(r);
  }
  if (promised_ >= 0 && accepted_ != static_cast<std::uint64_t>(promised_)) keepalive_ = false;
  return true;
}

[[gnu::noinline]] void H1Exchange::put_trailers(http::Request& r) {
  held_.append(r.arena, "0\r\n");
  for (const http::HeaderField& f : r.out.trailers) {
    held_.append(r.arena, f.name);
    held_.append(r.arena, ": ");
    held_.append(r.arena, f.value);
    held_.append(r.arena, "\r\n");
  }
  held_.append(r.arena, "\r\n");
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

[[gnu::noinline]] bool H1Exchange::send_slowly(http::Request& r, std::string_view bytes) {
  const iovec one{const_cast<char*>(bytes.data()), bytes.size()};
  return send_slowly(r, std::span(&one, 1));
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
  if (http::rate_limit(r) != 0) [[unlikely]]
    return send_slowly(r, bytes);
  if (complete_ && keepalive_ && body_done_ && connection_.post(bytes)) return true;
  return write_held(r, bytes);
}

[[gnu::noinline]] bool H1Exchange::write_held(http::Request& r, std::string_view bytes) {
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
  } else if (io.kind == net::Io::Kind::failed) {
    log::info(r.logger, log::Errno{io.error}, "writev() failed");
  }
  return false;
}

}  // namespace mp::proto
