// ListenSpec: a listening socket that a configuration wants, and ListenSocket: one that the master opened for
// it. Specs belong to the configuration; the descriptors belong to the master, which keeps them over reloads
// and worker crashes so that no queued connection is lost.
#pragma once

#include <cstddef>
#include <string>

#include <sys/socket.h>

namespace mp::net {

struct ListenSpec {
  sockaddr_storage address{};
  socklen_t length = 0;
  std::string text;  // "127.0.0.1:80", "[::1]:80", "unix:/path": names the socket in messages

  int backlog = 511;
  int rcvbuf = -1;  // -1: the kernel's choice
  int sndbuf = -1;
  int fastopen = -1;      // length of the TFO queue; -1: off
  bool deferred = false;  // TCP_DEFER_ACCEPT
  bool ipv6only = true;
  bool multipath = false;  // IPPROTO_MPTCP
  bool reuseport = false;  // even the first socket shares its address
  // SO_KEEPALIVE for accepted connections: unset, on, off; then the three timers, 0 for the kernel's value.
  enum class Keepalive : unsigned char { unset, on, off } so_keepalive = Keepalive::unset;
  int keepidle = 0;
  int keepintvl = 0;
  int keepcnt = 0;
};

struct ListenSocket {
  int fd = -1;
  std::size_t spec = 0;  // index into the configuration's list
  // Several workers poll this same socket (a Unix socket): register it with EPOLLEXCLUSIVE. Every other
  // socket has one worker.
  bool shared = false;
};

}  // namespace mp::net
