#include "lua/socket/udp_socket.hpp"

#include <cerrno>

#include <sys/socket.h>
#include <unistd.h>

namespace mp::lua {

Status UdpSocket::connect(const net::Address& peer) {
  const int fd = ::socket(peer.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(system_error(errno, "socket() failed"));
  auto give_up = [fd](const char* what) {
    const int error = errno;
    ::close(fd);
    return fail(system_error(error, what));
  };
  if (bind_to && ::bind(fd, bind_to->raw(), bind_to->size()) != 0) return give_up("bind() failed");
  if (peer.is_unix()) {
    // An address of its own, chosen by the kernel: else the peer could not answer.
    const sockaddr any{AF_UNIX, {}};
    if (::bind(fd, &any, sizeof any.sa_family) != 0) return give_up("bind() failed");
  }
  if (::connect(fd, peer.raw(), peer.size()) != 0) return give_up("connect() failed");
  if (!watch_.add(fd)) return give_up("epoll_ctl() failed");
  used = true;
  return {};
}

net::Io UdpSocket::send(std::string_view datagram) {
  for (;;) {
    const ssize_t n = ::send(watch_.fd(), datagram.data(), datagram.size(), MSG_NOSIGNAL);
    if (n >= 0) return net::Io::moved(static_cast<std::size_t>(n));
    if (errno != EINTR) return net::Io::failed(errno);
  }
}

net::Io UdpSocket::receive(std::span<char> into, fiber::Msec deadline) {
  for (;;) {
    if (!is_open()) return net::Io::failed(EBADF);
    const ssize_t n = ::recv(watch_.fd(), into.data(), into.size(), 0);
    if (n >= 0) return net::Io::moved(static_cast<std::size_t>(n));
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return net::Io::failed(errno);
    watch_.readable = false;
    while (!watch_.readable && is_open()) {
      watch_.reader = fiber::ticket();
      const fiber::Wake why = fiber::park(deadline);
      if (why != fiber::Wake::event) watch_.reader = {};
      if (why == fiber::Wake::cancelled) throw fiber::Cancelled{};
      if (why == fiber::Wake::timeout) return net::Io::timeout();
    }
  }
}

void UdpSocket::close() {
  const int fd = watch_.fd();
  if (fd < 0) return;
  watch_.remove();
  ::close(fd);
}

}  // namespace mp::lua
