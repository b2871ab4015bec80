#include "upstream/pool.hpp"

#include <cerrno>
#include <utility>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fiber/scheduler.hpp"

namespace mp::upstream {
namespace {

// Closes the descriptor unless it was handed on.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  int release() { return std::exchange(fd, -1); }
};

Status apply(int fd, const net::Address& address, const LinkOptions& options) {
  const int on = 1;
  if (options.keepalive && setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) != 0) {
    return fail(system_error(errno, "setsockopt(SO_KEEPALIVE) failed"));
  }
  if (options.receive_buffer != 0) {
    const int size = static_cast<int>(options.receive_buffer);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) != 0) {
      return fail(system_error(errno, "setsockopt(SO_RCVBUF) failed"));
    }
  }
  if (options.send_buffer != 0) {
    const int size = static_cast<int>(options.send_buffer);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) != 0) {
      return fail(system_error(errno, "setsockopt(SO_SNDBUF) failed"));
    }
  }
  if (options.bind == nullptr || address.is_unix()) return {};
  if (options.transparent) {
    const int level = address.is_v6() ? IPPROTO_IPV6 : IPPROTO_IP;
    const int option = address.is_v6() ? IPV6_TRANSPARENT : IP_TRANSPARENT;
    if (setsockopt(fd, level, option, &on, sizeof on) != 0) {
      return fail(system_error(errno, "setsockopt(IP_TRANSPARENT) failed"));
    }
  }
  // The port is chosen when connecting, where the whole address pair counts: more connections fit.
  if (options.bind->port() == 0) (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  if (::bind(fd, options.bind->raw(), options.bind->size()) != 0) {
    const int error = errno;
    const net::Address& own = *options.bind;
    return fail(
        system_error(error, "bind(" + (own.port() == 0 ? own.text() : own.text_with_port()) + ") failed"));
  }
  return {};
}

}  // namespace

// ---- Link

Link::~Link() = default;

Status Link::open(const LinkOptions& options, fiber::Msec deadline) {
  Descriptor made{::socket(address_.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (made.fd < 0) return fail(system_error(errno, "socket() failed"));
  TRY(apply(made.fd, address_, options));
  asked = true;
  const int error = ::connect(made.fd, address_.raw(), address_.size()) == 0 ? 0 : errno;
  if (error != 0 && error != EINPROGRESS) {
    const std::string what = "connect() to " + address_.text_with_port() + " failed";
    return fail(system_error(error, what));
  }
  TRY(adopt(made.release()));
  opened = fiber::now();
  if (error == 0) {
    writable = true;
  } else {
    if (!wait_writable(deadline)) return fail("upstream timed out", kDeadlinePassed);
    int pending = 0;
    socklen_t size = sizeof pending;
    if (getsockopt(fd(), SOL_SOCKET, SO_ERROR, &pending, &size) != 0) pending = errno;
    if (pending != 0) return fail(system_error(pending, "connect() failed"));
  }
  if (!address_.is_unix()) set_nodelay();
  return {};
}

bool Link::wait_readable_or(fiber::Ticket& other, fiber::Msec deadline) {
  if (has_input()) return true;
  const fiber::Ticket ticket = fiber::ticket();
  reader = other = ticket;
  const fiber::Wake why = fiber::park(deadline);
  if (reader.fiber == ticket.fiber && reader.turn == ticket.turn) reader = {};
  other = {};
  if (why == fiber::Wake::cancelled) throw fiber::Cancelled{};
  return why == fiber::Wake::event;
}

// While idle: bytes nobody asked for, or the end. Nothing may be destroyed in the event pass, so the timer
// does it.
void Link::on_ready() {
  if (watcher != nullptr) return watcher->link_ready();
  if (pool_ != nullptr) fiber::here()->arm(*this, fiber::now());
}

//
// A timer is left as it is when the link is taken and comes back: it finds out by itself that it was too
// early.
void Link::expired() {
  if (pool_ == nullptr) return;
  // TLS has messages of its own, which are no bytes for anyone.
  if (fiber::now() < idle_until_ && peek().kind == net::Io::Kind::again) {
    fiber::here()->arm(*this, idle_until_);
    return;
  }
  const LinkPtr closed = pool_->remove(*this);
}

// ---- IdlePool

IdlePool::~IdlePool() {
  while (first_ != nullptr) {
    Link* link = first_;
    first_ = link->next_;
    link->pool_ = nullptr;
    if (fiber::here() != nullptr) delete link;
  }
}

LinkPtr IdlePool::take(const net::Address& address, std::string_view identity, const void* owner) {
  for (Link* link = first_; link != nullptr; link = link->next_) {
    if (owner != nullptr && link->owner_ != owner) continue;
    if (link->hangup || (link->readable && link->peek().kind != net::Io::Kind::again))
      continue;  // about to go
    if (link->address_ == address && link->identity_ == identity) {
      LinkPtr taken = remove(*link);
      taken->cached = true;
      return taken;
    }
  }
  return nullptr;
}

void IdlePool::put(LinkPtr link, std::size_t capacity, fiber::Msec timeout) {
  if (capacity == 0) return;
  if (link->readable || link->hangup || link->has_input()) {
    if (link->peek().kind != net::Io::Kind::again) return;
  }
  if (size_ >= capacity) [[unlikely]] {
    const LinkPtr oldest = remove(*last_);
  }
  Link* kept = link.release();
  kept->pool_ = this;
  kept->previous_ = nullptr;
  kept->next_ = first_;
  (first_ != nullptr ? first_->previous_ : last_) = kept;
  first_ = kept;
  ++size_;
  kept->idle_until_ = fiber::now() + timeout;
  if (!kept->armed() || kept->deadline() > kept->idle_until_) fiber::here()->arm(*kept, kept->idle_until_);
}

void IdlePool::clear() {
  while (first_ != nullptr) const LinkPtr closed = remove(*first_);
}

LinkPtr IdlePool::remove(Link& link) {
  (link.previous_ != nullptr ? link.previous_->next_ : first_) = link.next_;
  (link.next_ != nullptr ? link.next_->previous_ : last_) = link.previous_;
  link.previous_ = link.next_ = nullptr;
  link.pool_ = nullptr;
  --size_;
  return LinkPtr(&link);
}

}  // namespace mp::upstream
