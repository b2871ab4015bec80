// sock:connect, sock:bind, sock:setkeepalive.
#include <cerrno>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "base/ascii.hpp"
#include "lua/api/tcp_common.hpp"
#include "lua/socket/find_address.hpp"
#include "lua/socket/slots.hpp"

namespace mp::lua {
namespace {

struct Target {
  std::string_view host;
  int port = 0;
  bool plain = false;    // the key is "HOST:PORT", from a host and a number
  std::string_view key;  // of the pool; empty when `noted` is there
  const std::shared_ptr<Pool>* noted = nullptr;
  int pool_size = 0;  // 0: no pool is made
  int backlog = -1;
};

SocketPools& pools_of(const Request& r) {
  auto& main = r.conf<RuntimeMain>();
  if (!main.pools) main.pools = std::make_shared<SocketPools>();
  return *main.pools;
}

bool is_unix(std::string_view host) {
  return host.size() >= 5 && equals_nocase(host.substr(0, 5), "unix:");
}

// Reads the option table at `index` into `target`; true when it names a pool, which is then on top of the
// stack.
bool read_options(lua_State* L, int index, const Request& r, Target& target) {
  lua_getfield(L, index, "pool_size");
  if (lua_isnumber(L, -1)) {
    target.pool_size = static_cast<int>(lua_tointeger(L, -1));
    if (target.pool_size <= 0) {
      luaL_argerror(L, index, lua_pushfstring(L, "bad \"pool_size\" option value: %d", target.pool_size));
    }
  } else if (!lua_isnil(L, -1)) {
    luaL_argerror(L, index, lua_pushfstring(L, "bad \"pool_size\" option type: %s", luaL_typename(L, -1)));
  }
  lua_pop(L, 1);
  lua_getfield(L, index, "backlog");
  if (lua_isnumber(L, -1)) {
    target.backlog = static_cast<int>(lua_tointeger(L, -1));
    if (target.backlog < 0) {
      luaL_argerror(L, index, lua_pushfstring(L, "bad \"backlog\" option value: %d", target.backlog));
    }
    if (target.pool_size == 0) target.pool_size = r.conf<SocketConf>().pool_size;
  }
  lua_pop(L, 1);
  lua_getfield(L, index, "pool");
  switch (lua_type(L, -1)) {
    case LUA_TNUMBER:
    case LUA_TSTRING:
      target.key = text_at(L, -1);
      return true;
    case LUA_TNIL:
      lua_pop(L, 1);
      return false;
    default:
      luaL_argerror(L, index, lua_pushfstring(L, "bad \"pool\" option type: %s", luaL_typename(L, -1)));
      return false;
  }
}

// The `n` arguments of connect(). The number of results to return when they are refused, else 0.
int read_target(lua_State* L, int n, const Request& r, Target& target) {
  target.host = text_at(L, 2);
  bool own_key = false;
  if (lua_type(L, n) == LUA_TTABLE) {
    own_key = read_options(L, n, r, target);
    --n;
  }
  if (n == 4) n = 3;
  if (n == 3 && lua_isnumber(L, 3)) {
    target.port = static_cast<int>(lua_tointeger(L, 3));
    if (target.port < 0 || target.port > 65535) {
      lua_pushnil(L);
      lua_pushfstring(L, "bad port number: %d", target.port);
      return 2;
    }
    if (own_key) return 0;
    // As a number of that value is written.
    target.plain = lua_type(L, 3) == LUA_TNUMBER && lua_tonumber(L, 3) == target.port;
    if (target.plain) target.noted = pools_of(r).noted(target.host, target.port);
    if (target.noted != nullptr) return 0;
    lua_pushvalue(L, 2);
    lua_pushliteral(L, ":");
    lua_pushvalue(L, 3);
    lua_concat(L, 3);
    target.key = text_at(L, -1);
    return 0;
  }
  if (!is_unix(target.host)) return push_failure(L, "missing the port number");
  if (!own_key) target.key = target.host;
  return 0;
}

// The place of a connection in its pool, given up unless the connection was made.
class Place {
 public:
  explicit Place(TcpSocket& socket) : socket_(socket) {}
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() {
    if (!taken_) socket_.leave_pool();
  }
  void take() { taken_ = true; }

 private:
  TcpSocket& socket_;
  bool taken_ = false;
};

bool reuse_idle(TcpSocket& socket) {
  auto idle = socket.pool->take();
  if (!idle) return false;
  socket.link = std::move(idle);
  return true;
}

int push_connect_failure(lua_State* L, const Request& r, std::string_view host, const net::Address& address,
                         const Error& error, bool timed_out) {
  const bool log_errors = r.conf<SocketConf>().log_errors;
  if (timed_out) {
    if (log_errors) {
      log::error(r.logger, "lua tcp socket connect timed out{}", about_peer(host, address));
    }
    return push_failure(L, "timeout");
  }
  if (address.is_unix()) {
    const bool expected = error.code == ECONNREFUSED || error.code == EAGAIN || error.code == ECONNRESET;
    log::write(expected ? log::Level::error : log::Level::crit, r.logger, log::Errno{error.code},
               "connect() to {} failed", address.text());
  } else if (log_errors) {
    log::write_text(log::Level::error, r.logger, error.text);
  }
  return push_errno(L, error.code);
}

// Raises no error: it has objects on its stack.
int connect(lua_State* L, TcpSocket& socket, Request& r, const Target& target) {
  const auto& conf = r.conf<SocketConf>();
  SocketPools& pools = pools_of(r);
  const fiber::Msec timeout = socket.connect_timeout != 0
                                  ? socket.connect_timeout
                                  : static_cast<fiber::Msec>(conf.connect_timeout.get());
  socket.attach(r);
  socket.used = true;
  socket.read_closed = socket.write_closed = socket.eof = false;
  if (target.noted != nullptr) {
    socket.pool = *target.noted;
  } else {
    socket.key = target.key;
    socket.pool = pools.find(socket.key);
    if (!socket.pool && target.pool_size > 0)
      socket.pool = pools.make(socket.key, target.pool_size, target.backlog);
    if (socket.pool && target.plain) pools.note(target.host, target.port, socket.pool);
  }
  const InUse connecting(socket.connecting);
  if (Pool* pool = socket.pool.get(); pool != nullptr) {
    if (reuse_idle(socket)) {
      log::debug(r.logger, "lua tcp socket get keepalive peer: using connection {}, fd:{}",
                 fmt::ptr(socket.link.get()), socket.link->fd());
      lua_pushinteger(L, 1);
      return 1;
    }
    ++pool->connections;
  }
  Place place(socket);
  if (Pool* pool = socket.pool.get();
      pool != nullptr && pool->backlog >= 0 && pool->connections > pool->size) {
    if (pool->connections > pool->size + pool->backlog) {
      // It never had a place that others could wait for.
      --pool->connections;
      socket.pool.reset();
      return push_failure(L, "too many waiting connect operations");
    }
    if (!pool->wait(fiber::now() + timeout)) {
      if (conf.log_errors) {
        log::error(r.logger, "lua tcp socket queued connect timed out, when trying to connect to {}:{}",
                   target.host, target.port);
      }
      --pool->connections;
      socket.pool.reset();
      return push_failure(L, "timeout");
    }
    if (reuse_idle(socket)) {
      --pool->connections;
      place.take();
      lua_pushinteger(L, 1);
      return 1;
    }
  }
  const Result<net::Address> address = [&] {
    const InUse resolving(socket.resolving);
    return find_address(r, target.host, static_cast<std::uint16_t>(target.port));
  }();
  if (!address) return push_failure(L, address.error().text);
  auto link = std::make_unique<Link>();
  link->host = target.host;
  link->address = *address;
  log::debug(r.logger, "lua tcp socket connect timeout: {}", timeout);
  const fiber::Msec deadline = fiber::now() + timeout;
  const net::Address* from = socket.bind_to ? &*socket.bind_to : nullptr;
  const Status connected =
      link->connect(address->raw(), address->size(), from != nullptr ? from->raw() : nullptr,
                    from != nullptr ? from->size() : 0, deadline);
  if (!connected) {
    const bool timed_out = connected.error().code == ETIMEDOUT && fiber::now() >= deadline;
    return push_connect_failure(L, r, target.host, *address, connected.error(), timed_out);
  }
  socket.link = std::move(link);
  place.take();
  lua_pushinteger(L, 1);
  return 1;
}

// Raises no error: it has objects on its stack.
int keep(lua_State* L, TcpSocket& socket, const Request& r, fiber::Msec timeout, int pool_size) {
  SocketPools& pools = pools_of(r);
  lua_pushinteger(L, 1);
  if (pools.exiting()) {
    log::debug(r.logger, "lua tcp socket set keepalive while process exiting, closing connection {}",
               fmt::ptr(socket.link.get()));
    socket.close();
    return 1;
  }
  const bool counted = socket.pool != nullptr;
  // One that counts the connection is kept by that.
  std::shared_ptr<Pool> pool = counted ? std::move(socket.pool) : pools.find(socket.key);
  if (!pool) {
    log::debug(r.logger, "lua tcp socket keepalive create connection pool for key \"{}\"", socket.key);
    pool = pools.make(socket.key, pool_size, -1);
  }
  if (timeout > 0) {
    log::debug(r.logger, "lua tcp socket keepalive timeout: {} ms", timeout);
  } else {
    log::debug(r.logger, "lua tcp socket keepalive timeout: unlimited");
  }
  log::debug(r.logger, "lua tcp socket connection pool size: {}", pool->size);
  socket.pool.reset();
  const bool kept = pool->put(std::move(socket.link), timeout, counted);
  socket.close();
  if (!kept) return push_failure(L, "connection in dubious state");
  return 1;
}

}  // namespace

std::string about_peer(const TcpSocket& socket) {
  return socket.link != nullptr ? about_peer(socket.link->host, socket.link->address) : std::string();
}

int tcp_connect(lua_State* L) {
  const int n = check_arguments(
      L, 2, 4, "ngx.socket connect: expecting 2, 3, or 4 arguments (including the object), but seen %d");
  Request& r = check_request(L, kWaiting);
  TcpSocket& socket = tcp_of(L);
  Target target;
  if (const int refused = read_target(L, n, r, target)) return refused;
  if (&socket == &SocketSlots::here().unconnected()) return connect(L, make_tcp(L, r), r, target);
  if (!socket.can_connect_for(r)) return luaL_error(L, "bad request");
  if (const char* refused = busy(socket)) return push_failure(L, refused);
  if (socket.kind != TcpSocket::Kind::upstream)
    return luaL_error(L, "attempt to re-connect a request socket");
  if (socket.link != nullptr) log::debug(r.logger, "lua tcp socket reconnect without shutting down");
  socket.close();
  return connect(L, socket, r, target);
}

int tcp_bind(lua_State* L) {
  const int n = check_arguments(L, 2, 3, "expecting 2 or 3 arguments, but got %d");
  const Request& r = check_request(L, kWaiting);
  int port = 0;
  if (n == 3) {
    if (!lua_isnumber(L, 3)) {
      lua_pushnil(L);
      lua_pushfstring(L, "expecting port to be anumber but got type: %s", luaL_typename(L, 3));
      return 2;
    }
    port = static_cast<int>(lua_tointeger(L, 3));
    if (port < 0 || port > 65535) {
      lua_pushnil(L);
      lua_pushfstring(L, "bad port number: %d", port);
      return 2;
    }
  }
  auto address = net::parse_ip(text_at(L, 2));
  if (!address) return push_failure(L, "bad address");
  if (port > 0) address->set_port(static_cast<std::uint16_t>(port));
  log::debug(r.logger, "lua tcp socket bind ip: {}", port > 0 ? address->text_with_port() : address->text());
  if (TcpSocket* socket = changeable_tcp(L)) socket->bind_to = *address;
  lua_pushboolean(L, 1);
  return 1;
}

int tcp_setkeepalive(lua_State* L) {
  const int n = check_arguments(L, 1, 3, "expecting 1 to 3 arguments (including the object), but got %d");
  TcpSocket& socket = tcp_of(L);
  const Request& r = check_request(L);
  const auto& conf = r.conf<SocketConf>();
  const lua_Integer timeout = n >= 2 && !lua_isnil(L, 2)
                                  ? luaL_checkinteger(L, 2)
                                  : static_cast<lua_Integer>(conf.keepalive_timeout.get());
  const lua_Integer size = n >= 3 && !lua_isnil(L, 3) ? luaL_checkinteger(L, 3) : lua_Integer{conf.pool_size};
  if (const char* refused = why_not(L, socket, r, Use::keeps)) return push_failure(L, refused);
  if (!socket.input.empty()) return push_failure(L, "unread data in buffer");
  if (size <= 0 && !socket.pool && !pools_of(r).find(socket.key)) {
    return luaL_argerror(L, n,
                         lua_pushfstring(L, "bad \"pool_size\" option value: %d", static_cast<int>(size)));
  }
  socket.input.release();
  return keep(L, socket, r, timeout > 0 ? static_cast<fiber::Msec>(timeout) : 0, static_cast<int>(size));
}

}  // namespace mp::lua
