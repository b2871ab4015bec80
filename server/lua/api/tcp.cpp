// ngx.socket.tcp: the object, its timeouts, options and end. Connecting, receiving and sending are in the
// tcp_*.cpp files.
#include <cctype>
#include <cerrno>
#include <cstring>
#include <new>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "lua/api/tcp_common.hpp"
#include "lua/socket/slots.hpp"

namespace mp::lua {

namespace {

const char kMetatableKeys[3] = {};  // their addresses: metatables of the objects, by kind
const char kSocketKey = 0;          // metatable of the socket userdata

int collect(lua_State* L) {
  static_cast<TcpSocket*>(lua_touserdata(L, 1))->~TcpSocket();
  return 0;
}

int check_context(lua_State* L) {
  check_request(L, kWaiting);
  return 0;
}

void keep_as(lua_State* L, const char* key, int index) {
  lua_pushlightuserdata(L, const_cast<char*>(key));
  lua_pushvalue(L, index);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

// metatables(tcp, body, raw): what objects of each kind get.
int metatables(lua_State* L) {
  for (int i = 0; i < 3; ++i) keep_as(L, &kMetatableKeys[i], i + 1);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, collect);
  lua_setfield(L, -2, "__gc");
  keep_as(L, &kSocketKey, lua_gettop(L));
  return 0;
}

int close(lua_State* L) {
  check_arguments(L, 1, 1, "expecting 1 argument (including the object) but seen %d");
  const Request& r = check_request(L);
  TcpSocket& socket = tcp_of(L);
  if (const char* refused = why_not(L, socket, r, Use::ends)) return push_failure(L, refused);
  if (socket.kind != TcpSocket::Kind::upstream) return push_failure(L, "attempt to close a request socket");
  socket.close();
  lua_pushinteger(L, 1);
  return 1;
}

fiber::Msec timeout_at(lua_State* L, int index) {
  const auto timeout = static_cast<std::int64_t>(lua_tonumber(L, index));
  if ((timeout >> 31) != 0) luaL_error(L, "bad timeout value");
  return static_cast<fiber::Msec>(timeout);
}

int settimeout(lua_State* L) {
  check_arguments(L, 2, 2, "ngx.socket settimeout: expecting 2 arguments (including the object) but seen %d");
  const fiber::Msec timeout = timeout_at(L, 2);
  TcpSocket& socket = tcp_of(L);
  if (&socket == &SocketSlots::here().unconnected()) {
    lua_pushinteger(L, static_cast<lua_Integer>(timeout));
    lua_rawseti(L, 1, 2);
  } else if (&socket != &SocketSlots::here().ended()) {
    socket.connect_timeout = socket.send_timeout = socket.read_timeout = timeout;
  }
  return 0;
}

int settimeouts(lua_State* L) {
  check_arguments(L, 4, 4,
                  "ngx.socket settimeouts: expecting 4 arguments (including the object) but seen %d");
  const fiber::Msec connect = timeout_at(L, 2);
  const fiber::Msec send = timeout_at(L, 3);
  const fiber::Msec read = timeout_at(L, 4);
  TcpSocket& socket = tcp_of(L);
  if (&socket == &SocketSlots::here().unconnected()) {
    lua_createtable(L, 3, 0);
    int i = 0;
    for (const fiber::Msec timeout : {connect, send, read}) {
      lua_pushinteger(L, static_cast<lua_Integer>(timeout));
      lua_rawseti(L, -2, ++i);
    }
    lua_rawseti(L, 1, 2);
  } else if (&socket != &SocketSlots::here().ended()) {
    socket.connect_timeout = connect;
    socket.send_timeout = send;
    socket.read_timeout = read;
  }
  return 0;
}

int getreusedtimes(lua_State* L) {
  check_arguments(L, 1, 1, "expecting 1 argument (including the object), but got %d");
  const TcpSocket& socket = tcp_of(L);
  if (socket.connecting && !socket.resolving) {
    lua_pushinteger(L, 0);
    return 1;
  }
  if (!socket.link || (socket.read_closed && socket.write_closed)) return push_failure(L, "closed");
  lua_pushinteger(L, socket.link->reused);
  return 1;
}

int getfd(lua_State* L) {
  check_request(L);
  const TcpSocket& socket = tcp_of(L);
  if (socket.stream() == nullptr) return push_failure(L, "closed");
  lua_pushinteger(L, socket.stream()->fd());
  return 1;
}

struct Option {
  const char* name;
  int level;
  int number;
};
constexpr Option kOptions[] = {
    {"keepalive", SOL_SOCKET, SO_KEEPALIVE},   {"reuseaddr", SOL_SOCKET, SO_REUSEADDR},
    {"tcp-nodelay", IPPROTO_TCP, TCP_NODELAY}, {"sndbuf", SOL_SOCKET, SO_SNDBUF},
    {"rcvbuf", SOL_SOCKET, SO_RCVBUF},         {"keepintvl", IPPROTO_TCP, TCP_KEEPINTVL},
    {"keepcnt", IPPROTO_TCP, TCP_KEEPCNT},
};

const Option* find_option(lua_State* L) {
  const char* name = lua_tostring(L, 2);
  for (const Option& option : kOptions) {
    if (name != nullptr && std::strcmp(name, option.name) == 0) return &option;
  }
  return nullptr;
}

// nil, "unsupported option x"
int push_unsupported(lua_State* L) {
  lua_pushnil(L);
  lua_pushliteral(L, "unsupported option ");
  lua_getglobal(L, "tostring");
  lua_pushvalue(L, 2);
  lua_call(L, 1, 1);
  lua_concat(L, 2);
  return 2;
}

int getoption(lua_State* L) {
  const TcpSocket& socket = tcp_of(L);
  if (!socket.used && socket.kind == TcpSocket::Kind::upstream)
    return luaL_error(L, "socket is never created nor connected");
  if (lua_isnoneornil(L, 2)) return push_failure(L, "missing the \"option\" argument");
  const Option* option = find_option(L);
  if (option == nullptr) return push_unsupported(L);
  if (socket.stream() == nullptr) return push_failure(L, "closed");
  int value = 0;
  socklen_t size = sizeof value;
  if (getsockopt(socket.stream()->fd(), option->level, option->number, &value, &size) != 0)
    return push_errno(L, errno);
  lua_pushinteger(L, value);
  return 1;
}

int setoption(lua_State* L) {
  if (lua_isnoneornil(L, 2)) return push_failure(L, "missing the \"option\" argument");
  if (lua_isnoneornil(L, 3)) return push_failure(L, "missing the \"value\" argument");
  const TcpSocket& socket = tcp_of(L);
  if (!socket.used && socket.kind == TcpSocket::Kind::upstream)
    return luaL_error(L, "socket is never created nor connected");
  const Option* option = find_option(L);
  if (option == nullptr) return push_unsupported(L);
  if (socket.stream() == nullptr) return push_failure(L, "closed");
  const int value = lua_isboolean(L, 3) ? lua_toboolean(L, 3) : static_cast<int>(lua_tonumber(L, 3));
  if (setsockopt(socket.stream()->fd(), option->level, option->number, &value, sizeof value) != 0) {
    return push_errno(L, errno);
  }
  lua_pushboolean(L, 1);
  return 1;
}

constexpr luaL_Reg kFunctions[] = {
    {"metatables", metatables},
    {"check_context", check_context},
    {"connect", waits<tcp_connect>},
    {"bind", tcp_bind},
    {"receive", waits<tcp_receive>},
    {"receiveany", waits<tcp_receiveany>},
    {"receiveuntil", tcp_receiveuntil},
    {"send", waits<tcp_send>},
    {"close", close},
    {"settimeout", settimeout},
    {"settimeouts", settimeouts},
    {"getreusedtimes", getreusedtimes},
    {"getfd", getfd},
    {"getoption", getoption},
    {"setoption", setoption},
    {"setkeepalive", tcp_setkeepalive},
    {"sslhandshake", waits<tcp_sslhandshake>},
    {"setclientcert", tcp_setclientcert},
    {"settrustedstore", tcp_settrustedstore},
    {"tls_object", tcp_tls_object},
    {"pointer", tcp_pointer},
    {"req_socket", waits<req_socket>},
};

}  // namespace

TcpSocket& tcp_of(lua_State* L, int index) {
  if (lua_type(L, index) != LUA_TTABLE) luaL_checktype(L, index, LUA_TTABLE);
  lua_rawgeti(L, index, 1);
  SocketSlots& slots = SocketSlots::here();
  if (const lua_Integer handle = lua_tointeger(L, -1); handle != 0) {
    return slots.find(static_cast<std::uint64_t>(handle));
  }
  if (auto* socket = static_cast<TcpSocket*>(lua_touserdata(L, -1))) return *socket;
  if (!lua_isnil(L, -1)) luaL_error(L, "bad socket object");
  return slots.unconnected();
}

namespace {

void set_metatable(lua_State* L, const char* key) {
  lua_pushlightuserdata(L, const_cast<char*>(key));
  lua_rawget(L, LUA_REGISTRYINDEX);
  lua_setmetatable(L, -2);
}

// Makes a socket in a userdata, which it leaves on the stack.
TcpSocket& push_socket(lua_State* L, TcpSocket::Kind kind) {
  auto* socket = new (lua_newuserdata(L, sizeof(TcpSocket))) TcpSocket(kind);
  set_metatable(L, &kSocketKey);
  return *socket;
}

fiber::Msec element(lua_State* L, int index, int i) {
  lua_rawgeti(L, index, i);
  const auto timeout = static_cast<fiber::Msec>(lua_tointeger(L, -1));
  lua_pop(L, 1);
  return timeout;
}

// Gives a new socket the timeouts that were set on its object, which is the first argument. Leaves a value on
// the stack.
void take_timeouts(lua_State* L, TcpSocket& socket) {
  lua_rawgeti(L, 1, 2);
  switch (lua_type(L, -1)) {
    case LUA_TNUMBER:
      socket.connect_timeout = socket.send_timeout = socket.read_timeout =
          static_cast<fiber::Msec>(lua_tointeger(L, -1));
      break;
    case LUA_TTABLE: {
      const int table = lua_gettop(L);
      socket.connect_timeout = element(L, table, 1);
      socket.send_timeout = element(L, table, 2);
      socket.read_timeout = element(L, table, 3);
      break;
    }
    default:
      break;
  }
}

}  // namespace

TcpSocket* changeable_tcp(lua_State* L) {
  TcpSocket& socket = tcp_of(L);
  if (&socket == &SocketSlots::here().ended()) return nullptr;
  if (&socket != &SocketSlots::here().unconnected()) return &socket;
  TcpSocket& own = push_socket(L, TcpSocket::Kind::upstream);
  lua_rawseti(L, 1, 1);
  take_timeouts(L, own);
  return &own;
}

TcpSocket& make_tcp(lua_State* L, Request& request) {
  // Slots are free when the request ends, and code may run for days: what it leaves behind the collector
  // takes.
  constexpr unsigned kSlotsOfRequest = 8;
  TcpSocket* socket = nullptr;
  if (OwnedSocket::count_of(request) < kSlotsOfRequest) {
    socket = &SocketSlots::here().make();
    lua_pushnumber(L, static_cast<lua_Number>(socket->handle));
  } else {
    socket = &push_socket(L, TcpSocket::Kind::upstream);
  }
  lua_rawseti(L, 1, 1);
  socket->attach(request);
  take_timeouts(L, *socket);
  return *socket;
}

TcpSocket& push_tcp(lua_State* L, TcpSocket::Kind kind) {
  lua_createtable(L, 1, 0);
  TcpSocket& socket = push_socket(L, kind);
  lua_rawseti(L, -2, 1);
  set_metatable(L, &kMetatableKeys[static_cast<int>(kind)]);
  return socket;
}

void refuse_arguments(lua_State* L, int seen, const char* expecting) {
  luaL_error(L, expecting, seen);
  __builtin_unreachable();
}

namespace {

bool usable(const TcpSocket& socket, Use use) {
  if (socket.stream() == nullptr) return false;
  switch (use) {
    case Use::reads:
      return !socket.read_closed;
    case Use::writes:
      return !socket.write_closed;
    case Use::keeps:
      return socket.link && !socket.read_closed && !socket.write_closed && !socket.eof &&
             !socket.link->hangup;
    case Use::ends:
      return !socket.read_closed || !socket.write_closed;
  }
  return false;
}

const char* busy_connecting(const TcpSocket& socket) {
  return socket.connecting ? "socket busy connecting" : nullptr;
}
const char* busy_reading(const TcpSocket& socket) {
  return socket.reading ? "socket busy reading" : nullptr;
}
const char* busy_writing(const TcpSocket& socket) {
  const bool unsent = socket.kind == TcpSocket::Kind::raw && socket.request != nullptr &&
                      socket.request->exchange->unsent() > 0;
  return socket.writing || unsent ? "socket busy writing" : nullptr;
}

}  // namespace

const char* why_not(lua_State* L, const TcpSocket& socket, const Request& request, Use use) {
  const bool is_usable = usable(socket, use);
  if (is_usable && socket.kind == TcpSocket::Kind::upstream && socket.works_for(request) &&
      !socket.connecting && !socket.reading && !socket.writing) {
    return nullptr;
  }
  const bool has_connection = is_usable || (socket.connecting && !socket.resolving);
  if (!has_connection && !socket.outlived()) return kClosed;
  if (!socket.works_for(request)) luaL_error(L, "bad request");
  if (const char* why = busy_connecting(socket)) return why;
  if (const char* why = use == Use::writes ? nullptr : busy_reading(socket)) return why;
  return use == Use::reads ? nullptr : busy_writing(socket);
}

const char* busy(const TcpSocket& socket) {
  if (const char* why = busy_connecting(socket)) return why;
  if (const char* why = busy_reading(socket)) return why;
  return busy_writing(socket);
}

int refuse_closed(lua_State* L, const TcpSocket& socket, const Request& r, const char* doing) {
  if (r.conf<SocketConf>().log_errors) {
    const TcpSocket* seen = socket.used ? &socket : nullptr;
    log::error(r.logger, "attempt to {} data on a closed socket: u:{:016X}, c:{:016X}, ft:0 eof:{}", doing,
               reinterpret_cast<std::uintptr_t>(seen), reinterpret_cast<std::uintptr_t>(socket.stream()),
               socket.eof ? 1 : 0);
  }
  return push_failure(L, kClosed);
}

int push_errno(lua_State* L, int error) {
  char text[128];
  const char* message = strerror_r(error, text, sizeof text);
  char lower[128];
  std::size_t size = 0;
  for (; message[size] != '\0' && size < sizeof lower; ++size) {
    lower[size] = static_cast<char>(std::tolower(static_cast<unsigned char>(message[size])));
  }
  return push_failure(L, {lower, size});
}

extern const Group kTcpGroup = {"tcp", kFunctions};

}  // namespace mp::lua
