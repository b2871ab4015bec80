// What the natives of stream sockets share: finding the socket behind a script's object, and its checks.
#pragma once

#include "lua/api.hpp"
#include "lua/socket/tcp_socket.hpp"

namespace mp::lua {

// The socket of a script's object at `index`. The object is a table; its first element is a userdata with the
// socket, or its number in SocketSlots; none before it is connected: the second element has the timeouts
// then. For an object without a socket it is one of those that nothing may change, see SocketSlots. Leaves a
// value on the stack.
TcpSocket& tcp_of(lua_State* L, int index = 1);
// As tcp_of(), for a change that outlasts a connection: an object without a socket gets one in a userdata.
// Null when its request has ended.
TcpSocket* changeable_tcp(lua_State* L);
// Gives the object without a socket, which is the first argument, one that works for `request`: in
// SocketSlots, or in a userdata when the request has had some. Leaves a value on the stack.
TcpSocket& make_tcp(lua_State* L, Request& request);
// Makes the object of a socket that lives in a userdata: a table with the metatable of its kind.
TcpSocket& push_tcp(lua_State* L, TcpSocket::Kind kind);

[[noreturn, gnu::cold]] void refuse_arguments(lua_State* L, int seen, const char* expecting);
// How many arguments the call has. Raises the established error unless there are `least` to `most`;
// `expecting` says how many.
inline int check_arguments(lua_State* L, int least, int most, const char* expecting) {
  const int seen = lua_gettop(L);
  if (seen < least || seen > most) refuse_arguments(L, seen, expecting);
  return seen;
}

// What a call is about to do with a connection. `ends`: it needs one that is open in any direction.
enum class Use : std::uint8_t { reads, writes, keeps, ends };
inline constexpr char kClosed[] = "closed";  // one object: it is compared by its address
// Why `request` cannot use the socket so now: kClosed, or what another thread does with it; null when it can.
// Raises "bad request" when the socket works for another one.
const char* why_not(lua_State* L, const TcpSocket& socket, const Request& request, Use use);
// The error of a socket that another thread is using; null when it is free.
const char* busy(const TcpSocket& socket);
// nil, "closed"; with a line in the log about code that uses what it should know to be closed.
int refuse_closed(lua_State* L, const TcpSocket& socket, const Request& request, const char* doing);

// "connection refused": system errors the way scripts see them.
int push_errno(lua_State* L, int error);

// Marks a direction as in use.
class InUse {
 public:
  explicit InUse(bool& flag) : flag_(flag) { flag_ = true; }
  InUse(const InUse&) = delete;
  InUse& operator=(const InUse&) = delete;
  ~InUse() { flag_ = false; }

 private:
  bool& flag_;
};

// In tcp_connect.cpp.
int tcp_connect(lua_State* L);
int tcp_bind(lua_State* L);
int tcp_setkeepalive(lua_State* L);
// In tcp_receive.cpp.
int tcp_receive(lua_State* L);
int tcp_receiveany(lua_State* L);
int tcp_receiveuntil(lua_State* L);
// In tcp_send.cpp.
int tcp_send(lua_State* L);
// What is to be sent, at index 2: a string, number, boolean, nil, or array table of them. Lives as long as
// the call.
std::string_view sendable_at(lua_State* L);
// In tcp_ssl.cpp.
int tcp_sslhandshake(lua_State* L);
int tcp_setclientcert(lua_State* L);
int tcp_settrustedstore(lua_State* L);
int tcp_tls_object(lua_State* L);
int tcp_pointer(lua_State* L);
// In req_socket.cpp.
int req_socket(lua_State* L);

// ", upstream: HOST:PORT(ADDRESS)", for log lines; nothing for request sockets.
std::string about_peer(const TcpSocket& socket);

}  // namespace mp::lua
