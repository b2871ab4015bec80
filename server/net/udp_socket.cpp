#include "net/udp_socket.hpp"

#include <cerrno>

#include <sys/socket.h>
#include <unistd.h>

namespace mp::net {

Status UdpSocket::connect(const Address& peer, const Address* bind_to) {
  close();
  const int made = ::socket(peer.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (made < 0) return fail(system_error(errno, "socket() failed"));
  const char* what = nullptr;
  if (bind_to != nullptr && ::bind(made, bind_to->raw(), bind_to->size()) != 0) what = "bind() failed";
  if (what == nullptr && ::connect(made, peer.raw(), peer.size()) != 0) what = "connect() failed";
  if (what == nullptr && !add(made, EPOLLIN | EPOLLET)) what = "epoll_ctl() failed";
  if (what == nullptr) return {};
  const int error = errno;
  ::close(made);
  return fail(system_error(error, what));
}

void UdpSocket::close() {
  if (!is_open()) return;
  const int descriptor = fd();
  remove();
  ::close(descriptor);
  readable = hangup = false;
}

Io UdpSocket::send(std::string_view datagram) {
  for (;;) {
    const ssize_t n = ::send(fd(), datagram.data(), datagram.size(), MSG_NOSIGNAL);
    if (n >= 0) return Io::moved(static_cast<std::size_t>(n));
    if (errno != EINTR) return Io::failed(errno);
  }
}

Io UdpSocket::receive(std::span<char> into, fiber::Msec deadline) {
  for (;;) {
    if (!is_open()) return Io::failed(EBADF);
    const ssize_t n = ::recv(fd(), into.data(), into.size(), 0);
    if (n >= 0) return Io::moved(static_cast<std::size_t>(n));
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return Io::failed(errno);
    readable = false;
    reader = fiber::ticket();
    const fiber::Wake why = fiber::park(deadline);
    if (why != fiber::Wake::event) reader = {};
    if (why == fiber::Wake::cancelled) throw fiber::Cancelled{};
    if (why == fiber::Wake::timeout) return Io::timeout();
  }
}

}  // namespace mp::net
