// ngx.socket.udp.
#include <cerrno>
#include <new>

#include "lua/api/tcp_common.hpp"
#include "lua/socket/find_address.hpp"
#include "lua/socket/udp_socket.hpp"

namespace mp::lua {
namespace {

constexpr std::size_t kMostDatagram = 64 * 1024 - 1;

const char kObjectKey = 0;  // its address: the metatable of the objects
const char kSocketKey = 0;  // of the userdata

int collect(lua_State* L) {
  static_cast<UdpSocket*>(lua_touserdata(L, 1))->~UdpSocket();
  return 0;
}

// metatable(t): what objects get.
int metatable(lua_State* L) {
  lua_pushlightuserdata(L, const_cast<char*>(&kObjectKey));
  lua_pushvalue(L, 1);
  lua_rawset(L, LUA_REGISTRYINDEX);
  lua_pushlightuserdata(L, const_cast<char*>(&kSocketKey));
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, collect);
  lua_setfield(L, -2, "__gc");
  lua_rawset(L, LUA_REGISTRYINDEX);
  return 0;
}

void set_metatable(lua_State* L, const char* key) {
  lua_pushlightuserdata(L, const_cast<char*>(key));
  lua_rawget(L, LUA_REGISTRYINDEX);
  lua_setmetatable(L, -2);
}

int udp(lua_State* L) {
  if (lua_gettop(L) != 0) return luaL_error(L, "expecting zero arguments, but got %d", lua_gettop(L));
  check_request(L, kWaiting);
  lua_createtable(L, 1, 0);
  new (lua_newuserdata(L, sizeof(UdpSocket))) UdpSocket;
  set_metatable(L, &kSocketKey);
  lua_rawseti(L, -2, 1);
  set_metatable(L, &kObjectKey);
  return 1;
}

UdpSocket& udp_of(lua_State* L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_rawgeti(L, 1, 1);
  auto* socket = static_cast<UdpSocket*>(lua_touserdata(L, -1));
  if (socket == nullptr) luaL_error(L, "bad socket object");
  lua_pop(L, 1);
  return *socket;
}

int refuse_closed(lua_State* L, const UdpSocket& socket, const Request& r, const char* doing) {
  if (r.conf<SocketConf>().log_errors) {
    log::error(r.logger, "attempt to {} data on a closed socket: u:{:016X}, c:{:016X}", doing,
               reinterpret_cast<std::uintptr_t>(socket.used ? &socket : nullptr), 0);
  }
  return push_failure(L, "closed");
}

// Raises no error: it has objects on its stack.
int connect(lua_State* L, UdpSocket& socket, Request& r, std::string_view host, int port) {
  socket.attach(r);
  const InUse waiting(socket.waiting);
  const Result<net::Address> address = find_address(r, host, static_cast<std::uint16_t>(port));
  if (!address) return push_failure(L, address.error().text);
  socket.about = about_peer(host, *address);
  const Status connected = socket.connect(*address);
  if (!connected) {
    if (r.conf<SocketConf>().log_errors) log::write_text(log::Level::error, r.logger, connected.error().text);
    return push_errno(L, connected.error().code);
  }
  lua_pushinteger(L, 1);
  return 1;
}

int setpeername(lua_State* L) {
  const int n = lua_gettop(L);
  if (n != 2 && n != 3) {
    return luaL_error(
        L, "ngx.socket.udp setpeername: expecting 2 or 3 arguments (including the object), but seen %d", n);
  }
  Request& r = check_request(L, kWaiting);
  UdpSocket& socket = udp_of(L);
  const std::string_view host = text_at(L, 2);
  const int port = n == 3 ? static_cast<int>(luaL_checkinteger(L, 3)) : 0;
  if (port < 0 || port > 65535) {
    lua_pushnil(L);
    lua_pushfstring(L, "bad port number: %d", port);
    return 2;
  }
  if (socket.request != nullptr && socket.request != &r) return luaL_error(L, "bad request");
  if (socket.waiting) return push_failure(L, "socket busy");
  socket.close();
  return connect(L, socket, r, host, port);
}

int bind(lua_State* L) {
  if (lua_gettop(L) != 2) return luaL_error(L, "expecting 2 arguments, but got %d", lua_gettop(L));
  check_request(L, kWaiting);
  UdpSocket& socket = udp_of(L);
  const auto address = net::parse_ip(text_at(L, 2));
  if (!address) return push_failure(L, "bad address");
  socket.bind_to = *address;
  lua_pushboolean(L, 1);
  return 1;
}

int send(lua_State* L) {
  if (lua_gettop(L) != 2) {
    return luaL_error(L, "expecting 2 arguments (including the object), but got %d", lua_gettop(L));
  }
  const Request& r = check_request(L);
  UdpSocket& socket = udp_of(L);
  if (!socket.is_open()) return refuse_closed(L, socket, r, "send");
  if (socket.request != &r) return luaL_error(L, "bad request");
  if (socket.waiting) return push_failure(L, "socket busy");
  const std::string_view datagram = sendable_at(L);
  const net::Io io = socket.send(datagram);
  if (!io.ok()) return push_errno(L, io.error);
  if (io.bytes != datagram.size()) return push_failure(L, "partial write");
  lua_pushinteger(L, 1);
  return 1;
}

int receive(lua_State* L) {
  const int n = lua_gettop(L);
  if (n != 1 && n != 2) {
    return luaL_error(L, "expecting 1 or 2 arguments (including the object), but got %d", n);
  }
  const Request& r = check_request(L);
  UdpSocket& socket = udp_of(L);
  if (!socket.is_open()) return refuse_closed(L, socket, r, "receive");
  if (socket.request != &r) return luaL_error(L, "bad request");
  if (socket.waiting) return push_failure(L, "socket busy");
  const lua_Number wanted = luaL_optnumber(L, 2, static_cast<lua_Number>(kMostDatagram));
  const std::size_t size = wanted > 0 && wanted < static_cast<lua_Number>(kMostDatagram)
                               ? static_cast<std::size_t>(wanted)
                               : kMostDatagram;
  auto* room = static_cast<char*>(lua_newuserdata(L, size));
  const auto& conf = r.conf<SocketConf>();
  const fiber::Msec timeout =
      socket.timeout != 0 ? socket.timeout : static_cast<fiber::Msec>(conf.read_timeout.get());
  const InUse waiting(socket.waiting);
  const net::Io io = socket.receive({room, size}, fiber::now() + timeout);
  switch (io.kind) {
    case net::Io::Kind::ok:
      push(L, {room, io.bytes});
      return 1;
    case net::Io::Kind::timeout:
      if (conf.log_errors) log::error(r.logger, "lua udp socket read timed out{}", socket.about);
      return push_failure(L, "timeout");
    default:
      if (io.error == EBADF) return push_failure(L, "closed");
      if (conf.log_errors)
        log::write_text(log::Level::error, r.logger,
                        system_error(io.error, "recv() failed").text + socket.about);
      return push_errno(L, io.error);
  }
}

int settimeout(lua_State* L) {
  if (lua_gettop(L) != 2) {
    return luaL_error(
        L, "ngx.socket settimeout: expecting at least 2 arguments (including the object) but seen %d",
        lua_gettop(L));
  }
  const lua_Number timeout = luaL_checknumber(L, 2);
  udp_of(L).timeout = timeout > 0 ? static_cast<fiber::Msec>(timeout) : 0;
  return 0;
}

int close(lua_State* L) {
  if (lua_gettop(L) != 1) {
    return luaL_error(L, "expecting 1 argument (including the object) but seen %d", lua_gettop(L));
  }
  const Request& r = check_request(L);
  UdpSocket& socket = udp_of(L);
  if (!socket.is_open()) return push_failure(L, "closed");
  if (socket.request != &r) return luaL_error(L, "bad request");
  if (socket.waiting) return push_failure(L, "socket busy");
  socket.close();
  lua_pushinteger(L, 1);
  return 1;
}

constexpr luaL_Reg kFunctions[] = {
    {"metatable", metatable},
    {"udp", udp},
    {"setpeername", waits<setpeername>},
    {"bind", bind},
    {"send", send},
    {"receive", waits<receive>},
    {"settimeout", settimeout},
    {"close", close},
};

}  // namespace

extern const Group kUdpGroup = {"udp", kFunctions};

}  // namespace mp::lua
