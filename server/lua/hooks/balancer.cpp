#include "lua/hooks/balancer.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "base/numbers.hpp"
#include "http/request.hpp"
#include "lua/api.hpp"
#include "lua/conf.hpp"
#include "lua/hooks/hooks.hpp"
#include "lua/request_data.hpp"
#include "upstream/round_robin.hpp"
#include "upstream/upstream.hpp"

namespace mp::lua {

using http::Request;
using upstream::Pick;
using upstream::Release;

namespace {

constexpr int kSpecialResponse = 300;

// The method of an upstream {} with balancer_by_lua; it stands in front of the one named before it.
class LuaMethod final : public upstream::Method {
 public:
  LuaMethod(const LuaUpstream& settings, std::unique_ptr<upstream::Method> original, bool placeholder)
      : settings_(settings), original_(std::move(original)), has_placeholder_(placeholder) {
    if (original_ == nullptr) original_ = std::make_unique<upstream::RoundRobinMethod>();
  }

  Status prepare(upstream::Upstream& upstream) override { return original_->prepare(upstream); }

  upstream::Balancer* make(Request& request, upstream::Upstream& upstream) override {
    upstream::Balancer* original = original_->make(request, upstream);
    if (original == nullptr) return nullptr;
    const net::Address* placeholder = has_placeholder_ ? &upstream.servers[0].addresses[0] : nullptr;
    return request.arena.make<LuaBalancer>(*settings_.balancer, *original, placeholder,
                                           static_cast<std::size_t>(settings_.keepalive.get()));
  }

 private:
  const LuaUpstream& settings_;
  std::unique_ptr<upstream::Method> original_;
  const bool has_placeholder_;
};

// An upstream {} needs a server; here the script brings them.
void add_placeholder(upstream::Upstream& upstream) {
  upstream::ServerLine line;
  line.name = "0.0.0.1";
  line.addresses.push_back(net::Address::v4(1, 80));
  upstream.servers.push_back(std::move(line));
}

}  // namespace

Status balancer_by_lua(conf::Context& ctx, const conf::Node& node) {
  auto& settings = ctx.conf<LuaUpstream>();
  if (settings.balancer != nullptr) return fail("is duplicate");
  auto chunk = make_chunk(ctx, node);
  if (!chunk) return fail(std::move(chunk.error()));
  settings.balancer = *chunk;
  ctx.conf<LuaMain>().wanted = true;
  upstream::Upstream& upstream = *ctx.conf<upstream::UpstreamBlock>().upstream;
  const bool placeholder = upstream.servers.empty();
  if (placeholder) add_placeholder(upstream);
  std::unique_ptr<upstream::Method> original = std::move(upstream.method);
  if (original != nullptr) ctx.warn(node, "load balancing method redefined");
  upstream::select_method(ctx, node, std::make_unique<LuaMethod>(settings, std::move(original), placeholder),
                          upstream::ServerParam::no_backup);
  return {};
}

Status balancer_keepalive(conf::Context& ctx, const conf::Node& node) {
  auto& setting = ctx.conf<LuaUpstream>().keepalive;
  if (setting.is_set()) return fail("is duplicate");
  const auto value = parse_natural<int>(node.arg(0));
  if (!value || *value == 0) {
    return ctx.error(node.args[0], "invalid value \"" + std::string(node.arg(0)) + "\" in \"" +
                                       std::string(node.name) + "\" directive");
  }
  setting.set(*value);
  return {};
}

// ---- LuaBalancer

LuaBalancer::LuaBalancer(const Chunk& chunk, upstream::Balancer& original, const net::Address* placeholder,
                         std::size_t keepalive)
    : chunk_(chunk), original_(original), placeholder_(placeholder), keepalive_capacity_(keepalive) {
  tries = original.tries;
}

Pick LuaBalancer::pick(Request& r) {
  target = {};
  chosen_ = keepalive_ = false;
  more_tries_ = 0;
  ++total_tries_;
  if (const auto end = run_script(r)) return *end;
  if (!chosen_) return ask_original(r);
  tries += more_tries_;
  target.address = &address_;
  target.name = name_;
  target.tls_name = target.identity = host_;
  complete_target();
  if (!keepalive_) return Pick::ok;
  target.keepalive_capacity = keepalive_capacity_;
  target.keepalive_timeout = idle_timeout_;
  target.keepalive_requests = max_requests_;
  return Pick::ok;
}

// Nothing: it has ended as it should, and may have chosen.
std::optional<Pick> LuaBalancer::run_script(Request& r) {
  RequestData* data = request_data(r);
  if (data == nullptr) return Pick::error;
  const RunScope run(*data->vm, &r, kBalancer);
  LuaBalancer* const outer = std::exchange(data->balancer, this);
  const bool ok = run_to_end(*run, chunk_, "balancer_by_lua*");
  data->balancer = outer;
  if (!ok) return Pick::error;
  if (run->exit_kind() != Run::Exit::status || run->exit_status() == kOk) return std::nullopt;
  switch (run->exit_status()) {
    case kBusy:
      return Pick::busy;
    case kDeclined:
      return Pick::declined;
    default:
      error_status = run->exit_status() >= kSpecialResponse ? run->exit_status() : 500;
      return Pick::error;
  }
}

Pick LuaBalancer::ask_original(Request& r) {
  original_.tries = tries;
  original_.most_tries = most_tries;
  original_.sid_hint = sid_hint;
  const Pick result = original_.pick(r);
  target = original_.target;
  tries = original_.tries;
  complete_target();
  if (result != Pick::ok || placeholder_ == nullptr || !(*target.address == *placeholder_)) return result;
  original_.release(r, Release::good);
  log::error(r.logger, "lua balancer: no peer set");
  error_status = 500;
  return Pick::error;
}

void LuaBalancer::complete_target() {
  if (connect_timeout_ > 0) target.connect_timeout = connect_timeout_;
  if (send_timeout_ > 0) target.send_timeout = send_timeout_;
  if (read_timeout_ > 0) target.read_timeout = read_timeout_;
  if (tls_) target.tls = tls_;
  if (local_) target.bind = &*local_;
}

void LuaBalancer::release(Request& r, Release outcome) {
  if (!chosen_) {
    original_.release(r, outcome);
    tries = original_.tries;
    return;
  }
  switch (outcome) {
    case Release::good:
      last_failure_ = "keepalive";
      break;
    case Release::next:
      last_failure_ = "next";
      break;
    case Release::failed:
      last_failure_ = "failed";
      break;
  }
  if (tries > 0) --tries;
}

void LuaBalancer::set_peer(const net::Address& address, std::string_view name, std::string_view host) {
  address_ = address;
  name_ = name;
  host_ = host;
  chosen_ = true;
}

void LuaBalancer::enable_keepalive(std::int64_t idle_timeout, std::int64_t max_requests) {
  constexpr std::int64_t kForEver = std::numeric_limits<std::int32_t>::max();
  keepalive_ = true;
  idle_timeout_ = idle_timeout > 0 ? idle_timeout : kForEver;
  max_requests_ = max_requests > 0 ? max_requests : kForEver;
}

void LuaBalancer::set_timeouts(std::int64_t connect, std::int64_t send, std::int64_t read) {
  if (connect > 0) connect_timeout_ = connect;
  if (send > 0) send_timeout_ = send;
  if (read > 0) read_timeout_ = read;
}

bool LuaBalancer::set_more_tries(int count) {
  const int total = static_cast<int>(total_tries_ + tries) - 1;
  const int most = static_cast<int>(most_tries);
  const bool reduced = most != 0 && total + count > most;
  if (reduced) count = most - total;
  more_tries_ = static_cast<unsigned>(std::max(count, 0));
  return !reduced;
}

}  // namespace mp::lua
