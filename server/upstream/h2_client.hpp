// H2Client: one HTTP/2 connection to an upstream server, shared by many requests of this worker. A request
// sees a Link: bytes that look like HTTP/1.1 go in and come out, and H2Exchange turns them into frames and
// back. So everything a Transfer can do (tries, streamed bodies, buffering, timeouts) is the same for both
// versions.
//
// H2Pool: the connections of an upstream that have room for more requests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fiber/fiber.hpp"
#include "upstream/h2_engine.hpp"
#include "upstream/pool.hpp"

namespace mp::upstream {

class H2Exchange;
class H2Pool;

struct H2ClientLimits {
  std::uint64_t requests = 1000;     // keepalive_requests
  fiber::Msec idle = 60000;          // keepalive_timeout
  fiber::Msec age = 3600000;         // keepalive_time
  std::size_t idle_connections = 0;  // keepalive: how many stay open without a request
};

class H2Client final : public H2Engine, private fiber::Timer, private LinkWatcher {
 public:
  // `link` is connected, and secured when it is to be. `pool` null: for one request alone.
  static std::shared_ptr<H2Client> start(LinkPtr link, H2Pool* pool, std::string_view key, const void* owner,
                                         const H2ClientLimits& limits);
  ~H2Client() override;

  // A link for one more request; null when there is no room.
  LinkPtr open();
  bool has_room() const;
  std::string_view key() const { return key_; }
  const void* owner() const { return owner_; }

  // The server ends the connection because of a mistake, not in good order.
  bool left_in_anger() const { return goaway_error_.value_or(NGHTTP2_NO_ERROR) != NGHTTP2_NO_ERROR; }
  std::optional<std::uint32_t> goaway_error() const { return goaway_error_; }  // null: it has not said GOAWAY
  // What it has done wrong last, in words; empty: nothing.
  const std::string& mistake() const { return mistake_; }
  std::string take_mistake() { return std::exchange(mistake_, {}); }

  // ---- for exchanges
  std::string_view scheme() const;
  const Link& link() const { return *link_; }
  void ended(H2Exchange& exchange);

 private:
  friend class H2Pool;
  friend struct H2ClientCallbacks;
  H2Client(LinkPtr link, H2Pool* pool, std::string_view key, const void* owner, const H2ClientLimits& limits);

  std::span<char> scratch() override;
  fiber::Msec send_timeout() const override { return 60000; }
  void input_came(std::size_t bytes) override;
  void input_failed(int engine_error) override;
  void socket_failed(const char* call, const net::Io& io) override;
  void lost() override;
  bool finished() const override;
  bool engine_done() const;
  void say_goodbye() override;
  void settled() override;
  void link_ready() override { schedule(); }
  void expired() override;
  void leave_pool();
  void was_reset(std::int32_t id, std::uint32_t error);

  LinkPtr link_;
  H2Pool* pool_;
  std::string key_;
  const void* owner_;
  H2ClientLimits limits_;
  std::vector<H2Exchange*> exchanges_;
  std::shared_ptr<H2Client> self_;  // alive while its pump runs or it is idle in the pool
  std::uint64_t requests_ = 0;
  bool leaving_ = false;  // the server says GOAWAY, or its share is used up: no new requests
  std::optional<std::uint32_t> goaway_error_;
  std::string mistake_;
  std::uint64_t total_bytes_ = 0;
  std::uint64_t payload_bytes_ = 0;
  std::unique_ptr<char[]> scratch_;  // while the pump runs
};

class H2Pool {
 public:
  H2Pool() = default;
  H2Pool(const H2Pool&) = delete;
  H2Pool& operator=(const H2Pool&) = delete;
  ~H2Pool();

  // A link on a connection for `key` that has room, or null. Waits while somebody opens one.
  LinkPtr take(std::string_view key, const void* owner, fiber::Msec deadline);
  // The caller is about to open a connection for `key`; others wait until the ticket is gone.
  class Opening {
   public:
    Opening(H2Pool& pool, std::string_view key);
    Opening(const Opening&) = delete;
    Opening& operator=(const Opening&) = delete;
    ~Opening();

   private:
    H2Pool& pool_;
    std::list<std::string>::iterator entry_;
  };
  void clear();  // closes idle ones; busy ones end with their last request

 private:
  friend class H2Client;
  void add(H2Client& client);
  void remove(H2Client& client);
  std::size_t idle() const;

  std::vector<H2Client*> clients_;
  std::list<std::string> opening_;
  fiber::Event opened_;
};

}  // namespace mp::upstream
