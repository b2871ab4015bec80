#include "app/listeners.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.hpp"

namespace mp::app {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);
constexpr int kTries = 5;
constexpr long kRetryNs = 500'000'000;
#ifndef IPPROTO_MPTCP
constexpr int IPPROTO_MPTCP = 262;
#endif

const sockaddr* as_sockaddr(const sockaddr_storage& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

bool same_address(const sockaddr_storage& a, const sockaddr_storage& b) {
  if (a.ss_family != b.ss_family) return false;
  switch (a.ss_family) {
    case AF_INET: {
      const auto& x = reinterpret_cast<const sockaddr_in&>(a);
      const auto& y = reinterpret_cast<const sockaddr_in&>(b);
      return x.sin_port == y.sin_port && x.sin_addr.s_addr == y.sin_addr.s_addr;
    }
    case AF_INET6: {
      const auto& x = reinterpret_cast<const sockaddr_in6&>(a);
      const auto& y = reinterpret_cast<const sockaddr_in6&>(b);
      return x.sin6_port == y.sin6_port && std::memcmp(&x.sin6_addr, &y.sin6_addr, sizeof x.sin6_addr) == 0;
    }
    case AF_UNIX:
      return std::strncmp(reinterpret_cast<const sockaddr_un&>(a).sun_path,
                          reinterpret_cast<const sockaddr_un&>(b).sun_path,
                          sizeof(sockaddr_un::sun_path)) == 0;
    default:
      return false;
  }
}

std::string address_text(const sockaddr_storage& address) {
  char host[INET6_ADDRSTRLEN] = {};
  if (address.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &in.sin_addr, host, sizeof host);
    return fmt::format("{}:{}", host, ntohs(in.sin_port));
  }
  if (address.ss_family == AF_INET6) {
    const auto& in = reinterpret_cast<const sockaddr_in6&>(address);
    inet_ntop(AF_INET6, &in.sin6_addr, host, sizeof host);
    return fmt::format("[{}]:{}", host, ntohs(in.sin6_port));
  }
  return fmt::format("unix:{}", reinterpret_cast<const sockaddr_un&>(address).sun_path);
}

int protocol_of(const net::ListenSpec& spec) {
  return spec.multipath ? IPPROTO_MPTCP : 0;
}

int get_option(int fd, int level, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  return getsockopt(fd, level, name, &value, &size) == 0 ? value : -1;
}

void set_flag(int fd, int level, int name, std::string_view label, std::string_view text,
              const log::Logger& logger) {
  const int on = 1;
  if (setsockopt(fd, level, name, &on, sizeof on) == -1) {
    log::alert(logger, log::Errno{errno}, "setsockopt({}) {} failed, ignored", label, text);
  }
}

void set_number(int fd, int level, int name, int value, std::string_view label, std::string_view text,
                const log::Logger& logger) {
  if (setsockopt(fd, level, name, &value, sizeof value) == -1) {
    log::alert(logger, log::Errno{errno}, "setsockopt({}, {}) {} failed, ignored", label, value, text);
  }
}

// The options that may change with every configuration.
void configure(int fd, const net::ListenSpec& spec, const log::Logger& logger) {
  using Keepalive = net::ListenSpec::Keepalive;
  if (spec.rcvbuf != -1) set_number(fd, SOL_SOCKET, SO_RCVBUF, spec.rcvbuf, "SO_RCVBUF", spec.text, logger);
  if (spec.sndbuf != -1) set_number(fd, SOL_SOCKET, SO_SNDBUF, spec.sndbuf, "SO_SNDBUF", spec.text, logger);
  if (spec.so_keepalive != Keepalive::unset) {
    const int on = spec.so_keepalive == Keepalive::on ? 1 : 0;
    set_number(fd, SOL_SOCKET, SO_KEEPALIVE, on, "SO_KEEPALIVE", spec.text, logger);
  }
  if (spec.address.ss_family == AF_UNIX) return;
  if (spec.keepidle != 0) {
    set_number(fd, IPPROTO_TCP, TCP_KEEPIDLE, spec.keepidle, "TCP_KEEPIDLE", spec.text, logger);
  }
  if (spec.keepintvl != 0) {
    set_number(fd, IPPROTO_TCP, TCP_KEEPINTVL, spec.keepintvl, "TCP_KEEPINTVL", spec.text, logger);
  }
  if (spec.keepcnt != 0)
    set_number(fd, IPPROTO_TCP, TCP_KEEPCNT, spec.keepcnt, "TCP_KEEPCNT", spec.text, logger);
  if (spec.fastopen != -1) {
    set_number(fd, IPPROTO_TCP, TCP_FASTOPEN, spec.fastopen, "TCP_FASTOPEN", spec.text, logger);
  }
  const int deferred = spec.deferred ? 1 : 0;
  if (spec.deferred || get_option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT) > 0) {
    set_number(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, deferred, "TCP_DEFER_ACCEPT", spec.text, logger);
  }
}

void delete_unix(const std::string& text, const log::Logger& logger) {
  const std::string path = text.substr(5);
  if (unlink(path.c_str()) == -1 && errno != ENOENT) {
    log::emerg(logger, log::Errno{errno}, "unlink() {} failed", path);
  }
}

}  // namespace

Listeners::~Listeners() {
  for (const Open& s : sockets_) ::close(s.fd);
}

void Listeners::inherit(std::string_view numbers, const log::Logger& logger) {
  log::notice(logger, "using inherited sockets from \"{}\"", numbers);
  while (!numbers.empty()) {
    const std::size_t end = numbers.find_first_of(":;");
    const std::string digits(numbers.substr(0, end));
    const bool valid = end != std::string_view::npos && !digits.empty() && digits.size() < 8 &&
                       digits.find_first_not_of("0123456789") == std::string::npos;
    if (!valid) {
      log::emerg(
          logger,
          "invalid socket number \"{}\" in NGINX environment variable, ignoring the rest of the variable",
          numbers);
      return;
    }
    numbers.remove_prefix(end + 1);
    Open s{};
    s.fd = std::stoi(digits);
    s.spec = s.next_spec = kNone;
    s.length = sizeof s.address;
    if (getsockname(s.fd, reinterpret_cast<sockaddr*>(&s.address), &s.length) == -1) {
      log::crit(logger, log::Errno{errno}, "getsockname() of the inherited socket #{} failed", s.fd);
      continue;
    }
    if (get_option(s.fd, SOL_SOCKET, SO_TYPE) != SOCK_STREAM ||
        get_option(s.fd, SOL_SOCKET, SO_ACCEPTCONN) != 1) {
      log::crit(logger, "the inherited socket #{} is not a listening stream socket", s.fd);
      continue;
    }
    s.text = address_text(s.address);
    const int protocol = get_option(s.fd, SOL_SOCKET, SO_PROTOCOL);
    s.protocol = protocol == IPPROTO_MPTCP ? IPPROTO_MPTCP : 0;
    s.backlog = -1;
    fcntl(s.fd, F_SETFD, FD_CLOEXEC);
    fcntl(s.fd, F_SETFL, fcntl(s.fd, F_GETFL) | O_NONBLOCK);
    sockets_.push_back(std::move(s));
  }
}

// Marks the open sockets of this address as wanted; how many there are.
std::size_t Listeners::claim(const net::ListenSpec& spec, std::size_t index, const Plan& plan,
                             const log::Logger& logger) {
  std::size_t count = 0;
  for (Open& s : sockets_) {
    if (s.next_spec == index) {
      ++count;
      continue;
    }
    if (s.next_spec != kNone || s.protocol != protocol_of(spec) || !same_address(s.address, spec.address))
      continue;
    s.next_spec = index;
    ++count;
    const bool tcp = spec.address.ss_family != AF_UNIX;
    if (tcp && plan.workers > 1 && get_option(s.fd, SOL_SOCKET, SO_REUSEPORT) == 0) {
      set_flag(s.fd, SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT", spec.text, logger);
    }
  }
  return count;
}

bool Listeners::bind_and_listen(int fd, const net::ListenSpec& spec, bool first, const Plan& plan,
                                const log::Logger& logger, Attempt& outcome) {
  const bool tcp = spec.address.ss_family != AF_UNIX;
  // The first socket of an address binds alone, so that an address somebody else uses is noticed; it may have
  // company from then on. Its siblings must say so before they bind.
  if (tcp && (!first || spec.reuseport))
    set_flag(fd, SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT", spec.text, logger);
  const bool quiet = plan.testing;
  if (::bind(fd, as_sockaddr(spec.address), spec.length) == -1) {
    outcome = errno == EADDRINUSE ? Attempt::in_use : Attempt::failed;
    if (errno != EADDRINUSE || !quiet)
      log::emerg(logger, log::Errno{errno}, "bind() to {} failed", spec.text);
    return false;
  }
  if (!tcp) {
    const std::string path = spec.text.substr(5);
    if (chmod(path.c_str(), 0666) == -1) log::emerg(logger, log::Errno{errno}, "chmod() \"{}\" failed", path);
    if (plan.testing) delete_unix(spec.text, logger);
  }
  if (tcp && first && plan.workers > 1)
    set_flag(fd, SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT", spec.text, logger);
  if (::listen(fd, spec.backlog) == -1) {
    outcome = errno == EADDRINUSE ? Attempt::in_use : Attempt::failed;
    if (errno != EADDRINUSE || !quiet) {
      log::emerg(logger, log::Errno{errno}, "listen() to {}, backlog {} failed", spec.text, spec.backlog);
    }
    return false;
  }
  outcome = Attempt::opened;
  return true;
}

Listeners::Attempt Listeners::open_one(const net::ListenSpec& spec, std::size_t index, bool first,
                                       const Plan& plan, const log::Logger& logger) {
  const int fd =
      ::socket(spec.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol_of(spec));
  if (fd == -1) {
    log::emerg(logger, log::Errno{errno}, "socket() {} failed", spec.text);
    return Attempt::failed;
  }
  const int on = 1;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == -1) {
    log::emerg(logger, log::Errno{errno}, "setsockopt(SO_REUSEADDR) {} failed", spec.text);
    ::close(fd);
    return Attempt::failed;
  }
  const int only = spec.ipv6only ? 1 : 0;
  if (spec.address.ss_family == AF_INET6 &&
      setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) == -1) {
    log::emerg(logger, log::Errno{errno}, "setsockopt(IPV6_V6ONLY) {} failed, ignored", spec.text);
  }
  Attempt outcome = Attempt::failed;
  if (!bind_and_listen(fd, spec, first, plan, logger, outcome)) {
    ::close(fd);
    return outcome;
  }
  sockets_.push_back(
      {fd, spec.address, spec.length, spec.text, protocol_of(spec), spec.backlog, kNone, index, true});
  return Attempt::opened;
}

bool Listeners::prepare(const Plan& plan, const log::Logger& logger) {
  for (Open& s : sockets_) s.next_spec = kNone;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    bool in_use = false;
    for (std::size_t i = 0; i < plan.wanted.size(); ++i) {
      const net::ListenSpec& spec = plan.wanted[i];
      std::size_t have = claim(spec, i, plan, logger);
      const std::size_t need =
          spec.address.ss_family == AF_UNIX || plan.testing ? 1 : std::max(1u, plan.workers);
      for (; have < need; ++have) {
        const Attempt outcome = open_one(spec, i, have == 0, plan, logger);
        if (outcome == Attempt::failed) {
          rollback();
          return false;
        }
        if (outcome == Attempt::in_use) {
          in_use = !plan.testing;
          break;
        }
      }
    }
    if (!in_use) return true;
    log::notice(logger, "try again to bind() after 500ms");
    timespec pause{0, kRetryNs};
    while (nanosleep(&pause, &pause) == -1 && errno == EINTR) {
    }
    clock().update();
  }
  log::emerg(logger, "still could not bind()");
  rollback();
  return false;
}

void Listeners::rollback() {
  std::erase_if(sockets_, [](const Open& s) {
    if (s.fresh) {
      ::close(s.fd);
      if (s.address.ss_family == AF_UNIX) ::unlink(s.text.c_str() + 5);
    }
    return s.fresh;
  });
}

void Listeners::commit(const Plan& plan, const log::Logger& logger) {
  std::erase_if(sockets_, [&](Open& s) {
    if (s.next_spec != kNone) return false;
    ::close(s.fd);
    if (s.address.ss_family == AF_UNIX) {
      log::warn(logger, "deleting socket {}", s.text.substr(5));
      delete_unix(s.text, logger);
    }
    return true;
  });
  for (Open& s : sockets_) {
    const net::ListenSpec& spec = plan.wanted[s.next_spec];
    s.spec = s.next_spec;
    s.text = spec.text;
    s.fresh = false;
    configure(s.fd, spec, logger);
    if (s.backlog != spec.backlog && ::listen(s.fd, spec.backlog) == -1) {
      log::alert(logger, log::Errno{errno}, "listen() to {}, backlog {} failed, ignored", s.text,
                 spec.backlog);
    }
    s.backlog = spec.backlog;
  }
}

std::vector<net::ListenSocket> Listeners::for_worker(unsigned index, unsigned workers) const {
  std::vector<net::ListenSocket> mine;
  std::vector<unsigned> seen;  // how many sockets of each spec came before
  for (const Open& s : sockets_) {
    if (s.spec == kNone) continue;
    const bool shared = s.address.ss_family == AF_UNIX;
    if (seen.size() <= s.spec) seen.resize(s.spec + 1, 0);
    const unsigned nth = seen[s.spec]++;
    if (shared || nth % workers == index) mine.push_back({s.fd, s.spec, shared && workers > 1});
  }
  return mine;
}

void Listeners::keep_only(std::span<const net::ListenSocket> mine) {
  for (const Open& s : sockets_) {
    const bool kept =
        std::any_of(mine.begin(), mine.end(), [&](const net::ListenSocket& m) { return m.fd == s.fd; });
    if (!kept) ::close(s.fd);
  }
  sockets_.clear();
}

void Listeners::close_all(bool delete_unix_sockets, const log::Logger& logger) {
  for (const Open& s : sockets_) {
    ::close(s.fd);
    if (s.address.ss_family == AF_UNIX && delete_unix_sockets) delete_unix(s.text, logger);
  }
  sockets_.clear();
}

std::string Listeners::numbers() const {
  std::string text;
  for (const Open& s : sockets_) text += std::to_string(s.fd) + ";";
  return text;
}

void Listeners::let_exec_inherit() const {
  for (const Open& s : sockets_) fcntl(s.fd, F_SETFD, 0);
}

}  // namespace mp::app
