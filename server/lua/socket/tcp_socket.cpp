#include "lua/socket/tcp_socket.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "http/exchange.hpp"
#include "lua/socket/slots.hpp"

namespace mp::lua {

TcpSocket::~TcpSocket() {
  close();
}

net::Socket* TcpSocket::stream() const {
  switch (kind) {
    case Kind::upstream:
      return link.get();
    case Kind::body:
    case Kind::raw:
      return request != nullptr ? &request->connection.socket : nullptr;
  }
  return nullptr;
}

void TcpSocket::close() {
  link.reset();
  leave_pool();
  input.release();
  scanned_ = 0;
  if (kind != Kind::upstream) read_closed = write_closed = true;
}

void TcpSocket::let_go() {
  if (handle != 0) SocketSlots::here().free(*this);
}

void TcpSocket::leave_pool() {
  if (!pool) return;
  const std::shared_ptr<Pool> left = std::move(pool);
  pool.reset();
  left->leave();
}

net::Io TcpSocket::try_fetch(std::size_t wanted) {
  const auto& conf = request->conf<SocketConf>();
  const std::span<char> room = input.room(conf.buffer_size, wanted);
  const net::Io io =
      kind == Kind::body ? request->exchange->try_read_body(*request, room) : stream()->try_read(room);
  if (io.ok()) input.filled(io.bytes);
  return io;
}

fiber::Msec TcpSocket::read_wait() const {
  return read_timeout != 0 ? read_timeout
                           : static_cast<fiber::Msec>(request->conf<SocketConf>().read_timeout.get());
}

net::Io TcpSocket::fetch(std::size_t wanted) {
  const fiber::Msec deadline = fiber::now() + read_wait();
  for (;;) {
    if (kind != Kind::body || stream()->has_input() || !request->exchange->body_complete()) {
      // Most answers are not there yet: no system call to find that out.
      if (kind != Kind::upstream || stream()->has_input()) {
        const net::Io io = try_fetch(wanted);
        if (io.kind != net::Io::Kind::again) return io;
      }
    } else {
      return net::Io::eof();
    }
    net::Socket& socket = *stream();
    if (socket.has_input()) continue;
    if (!socket.wait_readable(deadline)) return net::Io::timeout();
    if (stream() == nullptr || !socket.is_open()) return net::Io::failed(EBADF);
  }
}

std::string_view without_returns(char* data, std::size_t size) {
  char* end = data + size;
  auto* first = static_cast<char*>(std::memchr(data, '\r', size));
  if (first == nullptr) return {data, size};
  char* out = first;
  for (const char* p = first; p != end; ++p) {
    if (*p != '\r') *out++ = *p;
  }
  return {data, static_cast<std::size_t>(out - data)};
}

bool TcpSocket::take(ReadMode mode, std::size_t size, std::string_view& result) {
  if (input.empty()) return false;
  switch (mode) {
    case ReadMode::line: {
      const std::size_t from = std::min(scanned_, input.size());
      const void* found = std::memchr(input.data() + from, '\n', input.size() - from);
      if (found == nullptr) {
        scanned_ = input.size();
        return false;
      }
      scanned_ = 0;
      const auto length = static_cast<std::size_t>(static_cast<const char*>(found) - input.data());
      result = without_returns(input.data(), length);
      input.consume(length + 1);
      return true;
    }
    case ReadMode::chunk:
      if (input.size() < size) return false;
      break;
    case ReadMode::any:
      size = std::min(size, input.size());
      break;
    case ReadMode::all:
    case ReadMode::until:
      return false;
  }
  scanned_ = 0;
  result = {input.data(), size};
  input.consume(size);
  return true;
}

}  // namespace mp::lua
