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
  check_arguments(L, 0, 0, "expecting zero arguments, but got %d");
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

// As for stream sockets.
const char* why_not(lua_State* L, const UdpSocket& socket, const Request& r) {
  if (!socket.is_open() && !socket.outlived()) return kClosed;
  if (!socket.works_for(r)) luaL_error(L, "bad request");
  return socket.waiting ? "socket busy" : nullptr;
}

int refuse_closed(lua_State* L, const UdpSocket& socket, const Request& r, const char* doing) {
  if (r.conf<SocketConf>().log_errors) {
    log::error(r.logger, "attempt to {} data on a closed socket: u:{:016X}, c:{:016X}", doing,
               reinterpret_cast<std::uintptr_t>(socket.used ? &socket : nullptr), 0);
  }
  return push_failure(L, kClosed);
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
  check_arguments(
      L, 2, 3, "ngx.socket.udp setpeername: expecting 2 or 3 arguments (including the object), but seen %d");
  Request& r = check_request(L, kWaiting);
  UdpSocket& socket = udp_of(L);
  const std::string_view host = text_at(L, 2);
  const int port = lua_gettop(L) == 3 ? static_cast<int>(luaL_checkinteger(L, 3)) : 0;
  if (port < 0 || port > 65535) {
    lua_pushnil(L);
    lua_pushfstring(L, "bad port number: %d", port);
    return 2;
  }
  if (!socket.can_connect_for(r)) return luaL_error(L, "bad request");
  if (socket.waiting) return push_failure(L, "socket busy");
  if (socket.is_open()) log::debug(r.logger, "lua udp socket reconnect without shutting down");
  socket.close();
  return connect(L, socket, r, host, port);
}

int bind(lua_State* L) {
  check_arguments(L, 2, 2, "expecting 2 arguments, but got %d");
  const Request& r = check_request(L, kWaiting);
  UdpSocket& socket = udp_of(L);
  const auto address = net::parse_ip(text_at(L, 2));
  if (!address) return push_failure(L, "bad address");
  log::debug(r.logger, "lua udp socket bind ip: {}", address->text());
  socket.bind_to = *address;
  lua_pushboolean(L, 1);
  return 1;
}

int send(lua_State* L) {
  check_arguments(L, 2, 2, "expecting 2 arguments (including the object), but got %d");
  const Request& r = check_request(L);
  UdpSocket& socket = udp_of(L);
  if (const char* refused = why_not(L, socket, r)) {
    return refused == kClosed ? refuse_closed(L, socket, r, "send") : push_failure(L, refused);
  }
  const std::string_view datagram = sendable_at(L);
  const net::Io io = socket.send(datagram);
  if (!io.ok()) return push_errno(L, io.error);
  if (io.bytes != datagram.size()) return push_failure(L, "partial write");
  lua_pushinteger(L, 1);
  return 1;
}

int receive(lua_State* L) {
  check_arguments(L, 1, 2, "expecting 1 or 2 arguments (including the object), but got %d");
  const Request& r = check_request(L);
  UdpSocket& socket = udp_of(L);
  if (const char* refused = why_not(L, socket, r)) {
    return refused == kClosed ? refuse_closed(L, socket, r, "receive") : push_failure(L, refused);
  }
  const lua_Number wanted = luaL_optnumber(L, 2, static_cast<lua_Number>(kMostDatagram));
  const std::size_t size = wanted > 0 && wanted < static_cast<lua_Number>(kMostDatagram)
                               ? static_cast<std::size_t>(wanted)
                               : kMostDatagram;
  auto* room = static_cast<char*>(lua_newuserdata(L, size));
  const auto& conf = r.conf<SocketConf>();
  const fiber::Msec timeout =
      socket.timeout != 0 ? socket.timeout : static_cast<fiber::Msec>(conf.read_timeout.get());
  log::debug(r.logger, "lua udp socket read timeout: {}", timeout);
  log::debug(r.logger, "lua udp socket receive buffer size: {}", size);
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
  check_arguments(L, 2, 2,
                  "ngx.socket settimeout: expecting at least 2 arguments (including the object) but seen %d");
  const lua_Number timeout = luaL_checknumber(L, 2);
  udp_of(L).timeout = timeout > 0 ? static_cast<fiber::Msec>(timeout) : 0;
  return 0;
}

int close(lua_State* L) {
  check_arguments(L, 1, 1, "expecting 1 argument (including the object) but seen %d");
  const Request& r = check_request(L);
  UdpSocket& socket = udp_of(L);
  if (const char* refused = why_not(L, socket, r)) return push_failure(L, refused);
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
