// sock:send.
#include <cerrno>
#include <cstring>
#include <utility>

#include "http/core_conf.hpp"
#include "http/exchange.hpp"
#include "lua/api/tcp_common.hpp"

namespace mp::lua {
namespace {

constexpr int kMostNested = 50;

// Adds up (out == nullptr) or copies the strings and numbers in a table of them, nested ones included.
std::size_t flatten(lua_State* L, int index, char* out, int depth) {
  if (depth > kMostNested) luaL_argerror(L, 2, "table nested too deeply");
  luaL_checkstack(L, 4, "table nested too deeply");
  int last = 0;
  for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
    const lua_Number key = lua_type(L, -2) == LUA_TNUMBER ? lua_tonumber(L, -2) : 0;
    const int i = static_cast<int>(key);
    if (i < 1 || static_cast<lua_Number>(i) != key) luaL_argerror(L, 2, "non-array table found");
    if (i > last) last = i;
  }
  std::size_t total = 0;
  for (int i = 1; i <= last; ++i) {
    lua_rawgeti(L, index, i);
    switch (lua_type(L, -1)) {
      case LUA_TNUMBER:
      case LUA_TSTRING: {
        std::size_t size = 0;
        const char* text = lua_tolstring(L, -1, &size);
        if (out != nullptr) std::memcpy(out + total, text, size);
        total += size;
        break;
      }
      case LUA_TTABLE:
        total += flatten(L, lua_gettop(L), out != nullptr ? out + total : nullptr, depth + 1);
        break;
      default:
        luaL_argerror(L, 2, lua_pushfstring(L, "bad data type %s found", luaL_typename(L, -1)));
    }
    lua_pop(L, 1);
  }
  return total;
}

int write(lua_State* L, TcpSocket& socket, const Request& r, std::string_view data) {
  const auto& conf = r.conf<SocketConf>();
  const std::size_t whole = data.size();
  const InUse writing(socket.writing);
  net::Socket& stream = *socket.stream();
  if (r.conf<http::CoreLocation>().tcp_nodelay) stream.set_nodelay();
  const fiber::Msec timeout =
      socket.send_timeout != 0 ? socket.send_timeout : static_cast<fiber::Msec>(conf.send_timeout.get());
  log::debug(r.logger, "lua tcp socket send timeout: {}", timeout);
  const net::Io io = stream.write(data, timeout);
  if (io.ok()) {
    lua_pushnumber(L, static_cast<lua_Number>(whole));
    return 1;
  }
  socket.write_closed = true;
  if (io.kind == net::Io::Kind::timeout) {
    if (conf.log_errors) log::error(r.logger, "lua tcp socket write timed out{}", about_peer(socket));
    return push_failure(L, "timeout");
  }
  if (conf.log_errors) log::error(r.logger, log::Errno{io.error}, "send() failed");
  return push_errno(L, io.error);
}

}  // namespace

std::string_view sendable_at(lua_State* L) {
  switch (lua_type(L, 2)) {
    case LUA_TNUMBER:
      lua_pushvalue(L, 2);
      return text_at(L, -1);
    case LUA_TSTRING:
      return text_at(L, 2);
    case LUA_TNIL:
      return "nil";
    case LUA_TBOOLEAN:
      return lua_toboolean(L, 2) != 0 ? "true" : "false";
    case LUA_TTABLE: {
      const std::size_t size = flatten(L, 2, nullptr, 0);
      auto* bytes = static_cast<char*>(lua_newuserdata(L, size));
      flatten(L, 2, bytes, 0);
      return {bytes, size};
    }
    default:
      luaL_argerror(L, 2,
                    lua_pushfstring(L, "string, number, boolean, nil, or array table expected, got %s",
                                    luaL_typename(L, 2)));
      return {};
  }
}

int tcp_send(lua_State* L) {
  check_arguments(L, 2, 2, "expecting 2 arguments (including the object), but got %d");
  const Request& r = check_request(L);
  TcpSocket& socket = tcp_of(L);
  if (const char* refused = why_not(L, socket, r, Use::writes)) {
    return refused == kClosed ? refuse_closed(L, socket, r, "send") : push_failure(L, refused);
  }
  if (socket.kind == TcpSocket::Kind::body) return luaL_error(L, "attempt to write to request sockets");
  const std::string_view data = sendable_at(L);
  if (data.empty()) {
    lua_pushinteger(L, 0);
    return 1;
  }
  return write(L, socket, r, data);
}

}  // namespace mp::lua
