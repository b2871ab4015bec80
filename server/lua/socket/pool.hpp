// Links and pools: the connections that scripts of one worker have opened, and those of them that wait to be
// used again. A Link belongs to the socket that uses it or, idle, to its Pool; a Pool lives as long as
// somebody counts in it. All are gone when the worker ends.
#pragma once

#include <array>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "fiber/scheduler.hpp"
#include "net/address.hpp"
#include "net/socket.hpp"

namespace mp::lua {

class SocketPools;
class Pool;

class Link final : public net::Socket {
 public:
  Link() : idle_timer_(*this) {}

  std::string host;  // as the script named it
  net::Address address;
  unsigned reused = 0;
  std::string tls_identity;  // what was proved in its TLS handshake; empty: there was none

  // True when nothing has come from the peer: no byte and no end.
  bool quiet();

 private:
  friend class Pool;
  void on_ready() override;
  struct IdleTimer final : fiber::Timer {
    explicit IdleTimer(Link& owner) : link(owner) {}
    void expired() override;
    Link& link;
  };

  Pool* pool_ = nullptr;  // while idle
  bool expired_ = false;
  IdleTimer idle_timer_;
};

class Pool : public std::enable_shared_from_this<Pool> {
 public:
  Pool(SocketPools& owner, std::string_view key, int most, int waiting)
      : size(most), backlog(waiting), owner_(owner), key_(key) {}
  ~Pool();

  const int size;
  const int backlog;    // -1: connections are not limited
  int connections = 0;  // in use, idle or waiting for a place

  // The idle link used last; null when there is none.
  std::unique_ptr<Link> take();
  // One that has made this very handshake.
  std::unique_ptr<Link> take_with(std::string_view tls_identity);
  // Keeps `link` for later, for at most `timeout` milliseconds unless that is 0. `counted`: connections has
  // it already. False when the peer has said something already: the link is closed.
  bool put(std::unique_ptr<Link> link, fiber::Msec timeout, bool counted);
  // One connection less: the place goes to who waits first.
  void leave();
  void wake_one();
  // Waits for a place; false on timeout; throws Cancelled.
  bool wait(fiber::Msec deadline);
  void close_idle();

 private:
  friend class Link;
  friend struct Link::IdleTimer;
  struct Waiter {
    fiber::Ticket ticket;
    bool granted = false;
  };
  void reap_soon();
  void reap();
  void forget_if_unused();

  SocketPools& owner_;
  std::string key_;
  std::vector<std::unique_ptr<Link>> idle_;  // the one used last at the end
  std::list<Waiter*> waiters_;
  bool reaping_ = false;
};

class SocketPools {
 public:
  std::shared_ptr<Pool> find(const std::string& key) const;
  std::shared_ptr<Pool> make(const std::string& key, int size, int backlog);
  void forget(const std::string& key);

  // The pool whose key is "HOST:PORT", where that was noted: saves making the key. Null: find() knows.
  const std::shared_ptr<Pool>* noted(std::string_view host, int port) const {
    for (const Noted& n : noted_) {
      if (n.port == port && n.host == host) return &n.pool;
    }
    return nullptr;
  }
  void note(std::string_view host, int port, const std::shared_ptr<Pool>& pool);

  // Closes idle links; from now on none is kept.
  void begin_shutdown();
  bool exiting() const { return exiting_; }

 private:
  struct Noted {
    int port = -1;
    std::string host;
    std::shared_ptr<Pool> pool;  // one in pools_
  };
  std::unordered_map<std::string, std::shared_ptr<Pool>> pools_;
  std::array<Noted, 8> noted_;
  std::size_t next_note_ = 0;
  bool exiting_ = false;
};

}  // namespace mp::lua
