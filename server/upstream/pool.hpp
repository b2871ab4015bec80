// Link: one connection to an upstream server. IdlePool: those of an upstream that wait for their next
// request.
//
// A Link is owned by the request that uses it, or by the pool while it is idle; then it has no fiber and no
// buffer: it watches for the server closing it, and for its time to run out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "fiber/timer_wheel.hpp"
#include "net/address.hpp"
#include "net/socket.hpp"

namespace mp::upstream {

class IdlePool;
class H2Exchange;

// Who is told of bytes, or of the end, that nobody waits for. Must not park.
class LinkWatcher {
 public:
  virtual void link_ready() = 0;

 protected:
  ~LinkWatcher() = default;
};

// The code of Link::open()'s error when its deadline passed.
inline constexpr int kDeadlinePassed = -2;

struct LinkOptions {
  const net::Address* bind = nullptr;
  bool transparent = false;
  bool keepalive = false;  // SO_KEEPALIVE
  std::size_t receive_buffer = 0;
  std::size_t send_buffer = 0;
};

class Link final : public net::Socket, private fiber::Timer {
 public:
  Link(const net::Address& address, std::string_view identity, const void* owner)
      : address_(address), identity_(identity), owner_(owner) {}
  ~Link();

  // Connects. Parks.
  Status open(const LinkOptions& options, fiber::Msec deadline);

  const net::Address& address() const { return address_; }
  const void* owner() const { return owner_; }
  unsigned requests = 0;
  fiber::Msec opened = 0;
  bool asked = false;             // open() got as far as the peer: what failed before is our own
  std::uint64_t read_before = 0;  // bytes_read and bytes_written when the present request took it
  std::uint64_t written_before = 0;
  bool cached = false;  // it has served a request before the present one
  LinkWatcher* watcher = nullptr;
  H2Exchange* exchange = nullptr;  // it is a stream of an HTTP/2 connection

  // Waits for bytes, for `other` to be woken, or for the deadline; false on timeout. `other` is what wakes
  // this wait from elsewhere: it is filled with the ticket of this wait.
  bool wait_readable_or(fiber::Ticket& other, fiber::Msec deadline);

 private:
  friend class IdlePool;
  void on_ready() override;
  void expired() override;

  net::Address address_;
  std::string identity_;
  const void* owner_;
  IdlePool* pool_ = nullptr;  // while idle
  Link* previous_ = nullptr;
  Link* next_ = nullptr;
  fiber::Msec idle_until_ = 0;
};

using LinkPtr = std::unique_ptr<Link>;

class IdlePool {
 public:
  IdlePool() = default;
  IdlePool(const IdlePool&) = delete;
  IdlePool& operator=(const IdlePool&) = delete;
  ~IdlePool();

  // The one used last for this address, or null. `owner` null: whoever opened it.
  LinkPtr take(const net::Address& address, std::string_view identity, const void* owner);
  // Keeps `link` for at most `timeout` milliseconds; the oldest one goes when there are more than `capacity`.
  void put(LinkPtr link, std::size_t capacity, fiber::Msec timeout);

  std::size_t size() const { return size_; }
  void clear();  // closes them all

 private:
  friend class Link;
  LinkPtr remove(Link& link);

  Link* first_ = nullptr;  // used last
  Link* last_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace mp::upstream
