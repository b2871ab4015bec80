// Resolver: asks name servers for addresses while the server runs. Made when the configuration is read; each
// worker that inherits it has its own cache. Answers are kept for as long as they say (or as `valid=` says);
// failures are not. Fibers that want the same name at the same time share one query, which has a fiber of its
// own: whoever gives up waiting disturbs nobody else.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/log.hpp"
#include "base/result.hpp"
#include "fiber/fiber.hpp"
#include "net/address.hpp"

namespace mp::net {

struct ResolverOptions {
  std::vector<Address> servers;    // asked in turn
  std::int64_t valid_seconds = 0;  // 0: as the answer says
  bool ipv4 = true;
  bool ipv6 = true;
  fiber::Msec resend_after = 5000;  // without an answer the next server is asked
  log::Logger logger = {};
};

// One server of a service (RFC 2782).
struct ServiceAddress {
  Address address;     // with the port
  std::string target;  // the server's name
  std::uint16_t priority = 0;
  std::uint16_t weight = 0;
};

class Resolver {
 public:
  explicit Resolver(ResolverOptions options) : options_(std::move(options)) {}
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // The addresses of `name` (port 0), at least one, beginning with another one each time. Parks until they
  // are known or `deadline` has passed. The error's text is "NAME could not be resolved (3: Host not found)",
  // its code that of the reply, or dns::kTimedOut. Throws Cancelled.
  Result<std::vector<Address>> resolve(std::string_view name, fiber::Msec deadline);

  // The same for a service: `service` is "http" for _http._tcp.NAME, or a prefix with dots in it. Servers
  // without an address are left out, and told of in `problems`.
  Result<std::vector<ServiceAddress>> resolve_service(std::string_view service, std::string_view name,
                                                      fiber::Msec deadline,
                                                      std::vector<Error>* problems = nullptr);

  // When what is known of a name, or of a service and all its servers, runs out; 0: nothing is known. In the
  // unit of fiber::now().
  fiber::Msec valid_until(std::string_view name) const;
  fiber::Msec valid_until(std::string_view service, std::string_view name) const;

 private:
  friend class DnsQuery;

  // One target of an SRV record.
  struct Service {
    std::string target;
    std::uint16_t priority, weight, port;
  };
  struct Entry {
    std::vector<Address> addresses;
    std::vector<Service> services;
    unsigned code = 0;              // of the last query; 0: good
    bool busy = false;              // a query is under way
    fiber::Fiber* query = nullptr;  // what makes it, once it runs
    fiber::Msec valid_until = 0;
    fiber::Msec forget_at = 0;
    std::uint32_t turn = 0;  // which address comes first
    unsigned waiters = 0;
    fiber::Event done;
    std::list<std::string>::iterator place;  // in recent_
  };
  using EntryPtr = std::shared_ptr<Entry>;

  // The entry of `key`, up to date: from the cache or by asking. Null: the deadline passed.
  EntryPtr ask(const std::string& key, std::string_view name, bool service, fiber::Msec deadline);
  EntryPtr find_or_make(const std::string& key);
  void forget_old();
  const Address& next_server();

  ResolverOptions options_;
  std::unordered_map<std::string, EntryPtr> entries_;
  std::list<std::string> recent_;  // keys, the one used last in front
  std::size_t turn_ = 0;
};

}  // namespace mp::net
