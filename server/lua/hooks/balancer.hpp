// balancer_by_lua: a script chooses the peer of each try.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "conf/context.hpp"
#include "net/address.hpp"
#include "upstream/balancer.hpp"

namespace mp::lua {

struct Chunk;

// The directives, for the module's table.
Status balancer_by_lua(conf::Context& ctx, const conf::Node& node);
Status balancer_keepalive(conf::Context& ctx, const conf::Node& node);

// The balancer of one request: asks the script before each try, and the method it stands in front of when
// the script has chosen nobody. In the request's arena. What the script asks for (ngx.balancer) is told here.
class LuaBalancer final : public upstream::Balancer {
 public:
  // `original` is never null.
  LuaBalancer(const Chunk& chunk, upstream::Balancer& original, const net::Address* placeholder,
              std::size_t keepalive);

  upstream::Pick pick(http::Request& request) override;
  void release(http::Request& request, upstream::Release outcome) override;

  // ---- for ngx.balancer, while the script runs
  void set_peer(const net::Address& address, std::string_view name, std::string_view host);
  bool has_peer() const { return chosen_; }
  void enable_keepalive(std::int64_t idle_timeout, std::int64_t max_requests);
  // Zero leaves one as it is. They hold for later tries too.
  void set_timeouts(std::int64_t connect, std::int64_t send, std::int64_t read);
  // False: fewer than asked for, because of proxy_next_upstream_tries.
  bool set_more_tries(int count);
  void set_tls(bool on) { tls_ = on; }
  void bind_to(const net::Address& local) { local_ = local; }
  // "keepalive", "next", "failed"; null before the first try has ended.
  const char* last_failure() const { return last_failure_; }

 private:
  std::optional<upstream::Pick> run_script(http::Request& request);
  upstream::Pick ask_original(http::Request& request);
  void complete_target();

  const Chunk& chunk_;
  upstream::Balancer& original_;
  const net::Address* placeholder_;  // of an upstream {} without servers
  const std::size_t keepalive_capacity_;

  // Of the present try.
  bool chosen_ = false;
  net::Address address_;
  std::string_view name_;
  std::string_view host_;
  bool keepalive_ = false;
  std::int64_t idle_timeout_ = 0;
  std::int64_t max_requests_ = 0;
  unsigned more_tries_ = 0;

  // Of all tries.
  unsigned total_tries_ = 0;
  const char* last_failure_ = nullptr;
  std::int64_t connect_timeout_ = 0;
  std::int64_t send_timeout_ = 0;
  std::int64_t read_timeout_ = 0;
  std::optional<bool> tls_;
  std::optional<net::Address> local_;
};

}  // namespace mp::lua
