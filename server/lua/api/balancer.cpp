// ngx.balancer: what balancer_by_lua asks for.
#include "lua/hooks/balancer.hpp"

#include "http/request.hpp"
#include "lua/api.hpp"
#include "lua/request_data.hpp"
#include "net/address_url.hpp"
#include "upstream/history.hpp"

namespace mp::lua {
namespace {

// The balancer whose script calls; null, and why: there is none.
LuaBalancer* running_balancer(const char** error) {
  Request* r = request();
  const RequestData* data = r != nullptr ? r->find_ctx<RequestData>() : nullptr;
  if (data != nullptr && data->balancer != nullptr && context() == kBalancer) return data->balancer;
  if (r == nullptr) {
    *error = "no request found";
  } else if (r->find_ctx<upstream::History>() == nullptr) {
    *error = "no upstream found";
  } else {
    *error = "API disabled in the current context";
  }
  return nullptr;
}

const char* c_string(Arena& arena, std::string_view text) {
  return arena.concat(text, std::string_view("", 1)).data();
}

}  // namespace

extern const Group kBalancerGroup = {"balancer", {}};

}  // namespace mp::lua

extern "C" {

using mp::lua::kError;
using mp::lua::kOk;
using mp::lua::view;

int mp_balancer_set_peer(const char* address, std::size_t size, int port, const char* host,
                         std::size_t host_size, const char** error) {
  auto* balancer = mp::lua::running_balancer(error);
  if (balancer == nullptr) return kError;
  auto& arena = mp::lua::request()->arena;
  const auto url =
      mp::net::parse_address_url(view(address, size), {.default_port = static_cast<std::uint16_t>(port)});
  if (!url) {
    *error = mp::lua::c_string(arena, url.error().text);
    return kError;
  }
  if (url->needs_resolving()) {
    *error = "no host allowed";
    return kError;
  }
  balancer->set_peer(url->address, url->address.text_with_port(arena), arena.copy(view(host, host_size)));
  return kOk;
}

int mp_balancer_enable_keepalive(double idle_timeout, double max_requests, const char** error) {
  auto* balancer = mp::lua::running_balancer(error);
  if (balancer == nullptr) return kError;
  if (!balancer->has_peer()) {
    *error = "no current peer set";
    return kError;
  }
  balancer->enable_keepalive(static_cast<std::int64_t>(idle_timeout),
                             static_cast<std::int64_t>(max_requests));
  return kOk;
}

int mp_balancer_set_more_tries(int count, const char** error) {
  auto* balancer = mp::lua::running_balancer(error);
  if (balancer == nullptr) return kError;
  *error = balancer->set_more_tries(count) ? nullptr : "reduced tries due to limit";
  return kOk;
}

// The name of the last try's state, or null; its status in `status`.
const char* mp_balancer_last_failure(int* status, const char** error) {
  *error = nullptr;
  auto* balancer = mp::lua::running_balancer(error);
  if (balancer == nullptr) return nullptr;
  *status = balancer->last_status;
  return balancer->last_failure();
}

int mp_balancer_set_timeouts(double connect, double send, double read, const char** error) {
  auto* balancer = mp::lua::running_balancer(error);
  if (balancer == nullptr) return kError;
  balancer->set_timeouts(static_cast<std::int64_t>(connect), static_cast<std::int64_t>(send),
                         static_cast<std::int64_t>(read));
  return kOk;
}

int mp_balancer_recreate_request(const char** error) {
  auto* balancer = mp::lua::running_balancer(error);
  if (balancer == nullptr) return kError;
  balancer->recreate_request = true;
  return kOk;
}

int mp_balancer_set_tls(int on, const char** error) {
  auto* balancer = mp::lua::running_balancer(error);
  if (balancer == nullptr) return kError;
  balancer->set_tls(on != 0);
  return kOk;
}

int mp_balancer_bind(const char* address, std::size_t size, const char** error) {
  auto* balancer = mp::lua::running_balancer(error);
  if (balancer == nullptr) return kError;
  const auto local = mp::net::parse_ip_port(view(address, size));
  if (!local) {
    auto& arena = mp::lua::request()->arena;
    *error = mp::lua::c_string(arena, arena.concat("invalid addr ", view(address, size)));
    return kError;
  }
  balancer->bind_to(*local);
  return kOk;
}
}
