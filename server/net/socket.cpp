#include "net/socket.hpp"

#include <cerrno>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <unistd.h>

namespace mp::net {

Status Socket::adopt(int fd) {
  if (!add(fd)) {
    const int error = errno;
    ::close(fd);
    return fail(system_error(error, "epoll_ctl() failed"));
  }
  return {};
}

void Socket::adopt_layer(std::unique_ptr<Layer> layer) {
  layer_ = std::move(layer);
  has_descriptor_ = false;
  writable = true;
}

Status Socket::connect(const sockaddr* address, socklen_t size, const sockaddr* bind_to, socklen_t bind_size,
                       Msec deadline) {
  const int fd = ::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(system_error(errno, "socket() failed"));
  if (bind_to != nullptr && ::bind(fd, bind_to, bind_size) != 0) {
    const int error = errno;
    ::close(fd);
    return fail(system_error(error, "bind() failed"));
  }
  const int rc = ::connect(fd, address, size);
  const int error = rc == 0 ? 0 : errno;
  if (rc != 0 && error != EINPROGRESS) {
    ::close(fd);
    return fail(system_error(error, "connect() failed"));
  }
  TRY(adopt(fd));
  if (rc == 0) {
    writable = true;
    return {};
  }
  try {
    if (!wait_writable(deadline)) {
      close();
      return fail(system_error(ETIMEDOUT, "upstream timed out"));
    }
  } catch (...) {
    close();
    throw;
  }
  int pending = 0;
  socklen_t length = sizeof pending;
  if (getsockopt(this->fd(), SOL_SOCKET, SO_ERROR, &pending, &length) != 0) pending = errno;
  if (pending != 0) {
    close();
    return fail(system_error(pending, "connect() failed"));
  }
  // The peer may have spoken, and closed, in the same event: `hangup` is true then, and its end makes no
  // other edge.
  readable = true;
  return {};
}

// ---- the descriptor itself

namespace {

// What a call that read nothing and gave `n` means; nothing when it is to be made again.
[[gnu::noinline]] std::optional<Io> nothing_read(Socket& socket, ssize_t n) {
  if (n == 0) return Io::eof();
  if (errno == EINTR) return std::nullopt;
  if (errno != EAGAIN) return Io::failed(errno);
  socket.readable = false;
  return Io::again();
}

}  // namespace

Io Socket::raw_read(std::span<char> into) {
  for (;;) {
    const ssize_t n = ::recv(fd(), into.data(), into.size(), 0);
    if (n > 0) [[likely]] {
      bytes_read += static_cast<std::size_t>(n);
      // A short read has drained the socket: the next bytes make a new edge. A hang-up makes none.
      if (static_cast<std::size_t>(n) < into.size() && !hangup) readable = false;
      return Io::moved(static_cast<std::size_t>(n));
    }
    if (const auto io = nothing_read(*this, n)) return *io;
  }
}

namespace {

// The same of one that gave an error.
[[gnu::noinline]] std::optional<Io> not_written(Socket& socket) {
  if (errno == EINTR) return std::nullopt;
  if (errno != EAGAIN) return Io::failed(errno);
  socket.writable = false;
  return Io::again();
}

// What a call that was to write `total` bytes and gave `n` means; nothing when it is to be made again.
inline std::optional<Io> written(Socket& socket, ssize_t n, std::size_t total) {
  if (n >= 0) [[likely]] {
    socket.bytes_written += static_cast<std::size_t>(n);
    socket.writable = static_cast<std::size_t>(n) == total;
    return Io::moved(static_cast<std::size_t>(n));
  }
  return not_written(socket);
}

inline Io write_one(Socket& socket, std::string_view bytes) {
  const int flags = MSG_NOSIGNAL | (std::exchange(socket.more_follows, false) ? MSG_MORE : 0);
  for (;;) {
    const ssize_t n = ::send(socket.fd(), bytes.data(), bytes.size(), flags);
    if (const auto io = written(socket, n, bytes.size())) return *io;
  }
}

[[gnu::noinline]] Io write_several(Socket& socket, std::span<const iovec> pieces) {
  std::size_t total = 0;
  for (const iovec& piece : pieces) total += piece.iov_len;
  const int flags = MSG_NOSIGNAL | (std::exchange(socket.more_follows, false) ? MSG_MORE : 0);
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces.data());
  message.msg_iovlen = pieces.size();
  for (;;) {
    if (const auto io = written(socket, ::sendmsg(socket.fd(), &message, flags), total)) return *io;
  }
}

}  // namespace

Io Socket::raw_write(std::span<const iovec> pieces) {
  if (pieces.size() != 1) return write_several(*this, pieces);
  return write_one(*this, {static_cast<char*>(pieces[0].iov_base), pieces[0].iov_len});
}

Io Socket::raw_sendfile(int file, off_t offset, std::size_t size) {
  constexpr std::size_t kMost = 2 * 1024 * 1024;  // so that one fast client does not hold the worker
  for (;;) {
    const ssize_t n = ::sendfile(fd(), file, &offset, size < kMost ? size : kMost);
    if (n > 0) {
      bytes_written += static_cast<std::size_t>(n);
      return Io::moved(static_cast<std::size_t>(n));
    }
    if (n == 0) return Io::eof();
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      writable = false;
      return Io::again();
    }
    return Io::failed(errno);
  }
}

// ---- through the layer

Io Socket::try_read(std::span<char> into) {
  return layer_ ? layer_->try_read(*this, into) : raw_read(into);
}

Io Socket::try_write(std::span<const iovec> pieces) {
  return layer_ ? layer_->try_write(*this, pieces) : raw_write(pieces);
}

Io Socket::try_write(std::string_view bytes) {
  const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
  return try_write(std::span(&piece, 1));
}

Io Socket::try_sendfile(int file, off_t offset, std::size_t size) {
  return layer_ ? layer_->try_sendfile(*this, file, offset, size) : raw_sendfile(file, offset, size);
}

// ---- waiting

bool Socket::wait_readable(Msec deadline) {
  while (!readable) {
    if (!is_open()) return true;
    reader = fiber::ticket();
    const fiber::Wake why = fiber::park(deadline);
    if (why != fiber::Wake::event) reader = {};
    if (why == fiber::Wake::cancelled) throw fiber::Cancelled{};
    if (why == fiber::Wake::timeout) return false;
  }
  return true;
}

bool Socket::wait_writable(Msec deadline) {
  while (!writable) {
    if (!is_open()) return true;
    writer = fiber::ticket();
    const fiber::Wake why = fiber::park(deadline);
    if (why != fiber::Wake::event) writer = {};
    if (why == fiber::Wake::cancelled) throw fiber::Cancelled{};
    if (why == fiber::Wake::timeout) return false;
  }
  return true;
}

bool wait_any(std::span<const WaitFor> what, Msec deadline) {
  const fiber::Ticket ticket = fiber::ticket();
  for (const WaitFor& w : what) {
    if (w.read ? w.socket->has_input() : w.socket->writable) return true;
  }
  for (const WaitFor& w : what) (w.read ? w.socket->reader : w.socket->writer) = ticket;
  const fiber::Wake why = fiber::park(deadline);
  for (const WaitFor& w : what) {
    fiber::Ticket& slot = w.read ? w.socket->reader : w.socket->writer;
    if (slot.fiber == ticket.fiber && slot.turn == ticket.turn) slot = {};
  }
  if (why == fiber::Wake::cancelled) throw fiber::Cancelled{};
  return why == fiber::Wake::event;
}

Io Socket::read(std::span<char> into, Msec deadline) {
  for (;;) {
    if (!is_open()) return Io::failed(EBADF);
    if (has_input()) {
      const Io io = try_read(into);
      if (io.kind != Io::Kind::again) return io;
      if (readable) continue;
    }
    if (!wait_readable(deadline)) return Io::timeout();
  }
}

Io Socket::read_all(std::span<char> into, Msec deadline) {
  std::size_t done = 0;
  while (done < into.size()) {
    Io io = read(into.subspan(done), deadline);
    if (!io.ok()) {
      io.bytes = done;
      return io;
    }
    done += io.bytes;
  }
  return Io::moved(done);
}

Io Socket::write(std::span<iovec> pieces, Msec timeout) {
  std::size_t done = 0;
  for (;;) {
    while (!pieces.empty() && pieces.front().iov_len == 0) pieces = pieces.subspan(1);
    if (pieces.empty()) return Io::moved(done);
    if (!is_open()) return Io::failed(EBADF, done);
    constexpr std::size_t kMostPieces = 64;
    const Io io = try_write(pieces.first(pieces.size() < kMostPieces ? pieces.size() : kMostPieces));
    if (io.kind == Io::Kind::failed) return Io::failed(io.error, done);
    done += io.bytes;
    for (std::size_t left = io.bytes; left > 0;) {
      iovec& piece = pieces.front();
      const std::size_t n = left < piece.iov_len ? left : piece.iov_len;
      piece.iov_base = static_cast<char*>(piece.iov_base) + n;
      piece.iov_len -= n;
      left -= n;
      if (piece.iov_len == 0) pieces = pieces.subspan(1);
    }
    if (!writable && !pieces.empty() && !wait_writable(fiber::now() + timeout)) return Io::timeout(done);
  }
}

Io Socket::write(std::string_view bytes, Msec timeout) {
  iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
  if (bytes.empty() || !is_open()) return write(std::span(&piece, 1), timeout);
  // Nearly always the kernel takes it all.
  const Io io = layer_ ? try_write(std::span(&piece, 1)) : write_one(*this, bytes);
  if (io.bytes == bytes.size() || io.kind == Io::Kind::failed) return io;
  if (!writable && !wait_writable(fiber::now() + timeout)) return Io::timeout(io.bytes);
  piece = {const_cast<char*>(bytes.data()) + io.bytes, bytes.size() - io.bytes};
  Io rest = write(std::span(&piece, 1), timeout);
  rest.bytes += io.bytes;
  return rest;
}

Io Socket::sendfile(int file, off_t offset, std::size_t size, Msec timeout) {
  std::size_t done = 0;
  while (done < size) {
    if (!is_open()) return Io::failed(EBADF, done);
    const Io io = try_sendfile(file, offset + static_cast<off_t>(done), size - done);
    if (io.kind == Io::Kind::failed || io.kind == Io::Kind::eof) return Io{io.kind, io.error, done};
    done += io.bytes;
    if (io.kind == Io::Kind::again) {
      if (!wait_writable(fiber::now() + timeout)) return Io::timeout(done);
    } else if (done < size) {
      fiber::yield();
    }
  }
  return Io::moved(done);
}

Io Socket::peek() {
  if (layer_) return layer_->peek(*this);
  char byte;
  for (;;) {
    const ssize_t n = ::recv(fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n > 0) return Io::moved(1);
    if (n == 0) return Io::eof();
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return Io::failed(errno);
    readable = false;
    return Io::again();
  }
}

bool Socket::peer_gone() {
  if (!hangup && !readable) return false;
  if (!has_descriptor_) return hangup;
  char byte;
  const ssize_t n = ::recv(fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n == 0) return true;
  return n < 0 && errno != EAGAIN && errno != EINTR;
}

// ---- options, end

void Socket::shutdown_write() {
  if (layer_) layer_->shutdown(*this);
  if (has_descriptor_) ::shutdown(fd(), SHUT_WR);
}

void Socket::reset_on_close() {
  const linger now{1, 0};
  setsockopt(fd(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void Socket::close() {
  if (!is_open()) return;
  if (layer_) {
    layer_->shutdown(*this);
    layer_.reset();
  }
  if (!has_descriptor_) {
    has_descriptor_ = true;
    fiber::wake(std::exchange(reader, {}));
    fiber::wake(std::exchange(writer, {}));
    return;
  }
  const int descriptor = fd();
  forget();
  ::close(descriptor);
  nodelay_ = false;
}

void Socket::set_nodelay() {
  if (nodelay_ || !has_descriptor_) return;
  const int on = 1;
  setsockopt(fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  nodelay_ = true;
}

void Socket::cork(bool on) {
  const int value = on ? 1 : 0;
  setsockopt(fd(), IPPROTO_TCP, TCP_CORK, &value, sizeof value);
}

}  // namespace mp::net
