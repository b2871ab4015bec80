// sock:receive, sock:receiveany, sock:receiveuntil.
#include <cerrno>
#include <cstring>
#include <new>

#include "http/exchange.hpp"
#include "lua/api/tcp_common.hpp"
#include "lua/conf.hpp"

namespace mp::lua {
namespace {

constexpr int kMaxPartialResults = 3;

// What came before the failure: the third result.
void push_partial(lua_State* L, TcpSocket& socket, ReadMode mode, const Until::Piece* piece) {
  if (piece != nullptr) return push(L, piece->text);
  std::string_view partial = socket.input.view();
  if (mode == ReadMode::line && !partial.empty())
    partial = without_returns(socket.input.data(), partial.size());
  push(L, partial);
  socket.input.clear();
}

int push_io_failure(lua_State* L, TcpSocket& socket, const Request& r, const net::Io& io) {
  const bool log_errors = r.conf<SocketConf>().log_errors;
  if (io.kind == net::Io::Kind::timeout) {
    if (log_errors) log::error(r.logger, "lua tcp socket read timed out{}", about_peer(socket));
    return push_failure(L, "timeout");
  }
  socket.read_closed = true;
  if (io.kind == net::Io::Kind::eof) {
    const bool aborted = socket.kind == TcpSocket::Kind::raw && r.conf<LuaLocation>().check_client_abort;
    return push_failure(L, aborted ? "client aborted" : "closed");
  }
  if (socket.kind != TcpSocket::Kind::upstream && io.error == ECONNRESET) {
    const bool aborted = socket.kind == TcpSocket::Kind::body || r.conf<LuaLocation>().check_client_abort;
    return push_failure(L, aborted ? "client aborted" : "closed");
  }
  if (log_errors) log::error(r.logger, log::Errno{io.error}, "recv() failed");
  return push_errno(L, io.error);
}

// Feeds the search with what there is; true when the piece is complete.
bool search(TcpSocket& socket, Until& until, Until::Piece& piece) {
  if (socket.input.empty()) return false;
  std::size_t used = 0;
  const bool done = until.feed(socket.input.view(), used, piece);
  socket.input.consume(used);
  return done;
}

// Reads until the result is complete. Raises no error: it has objects on its stack.
int read(lua_State* L, TcpSocket& socket, const Request& r, ReadMode mode, std::size_t size, Until* until) {
  log::debug(r.logger, "lua tcp socket read timeout: {}", socket.read_wait());
  const InUse reading(socket.reading);
  Until::Piece piece{size, size, {}};
  Until::Piece* of_search = until != nullptr ? &piece : nullptr;
  for (;;) {
    if (until != nullptr) {
      if (search(socket, *until, piece)) return push(L, piece.text), 1;
    } else if (std::string_view result; socket.take(mode, size, result)) {
      return push(L, result), 1;
    }
    net::Io io = net::Io::eof();
    if (!socket.eof) io = socket.fetch(mode == ReadMode::chunk ? size - socket.input.size() : 0);
    if (io.ok()) continue;
    if (socket.stream() == nullptr) io = net::Io::eof();
    if (io.kind == net::Io::Kind::eof) {
      socket.eof = true;
      if (mode == ReadMode::all) {
        push(L, socket.input.view());
        socket.input.clear();
        return 1;
      }
    }
    const int results = push_io_failure(L, socket, r, io);
    push_partial(L, socket, mode, of_search);
    return results + 1;
  }
}

const char kUntilKey = 0;

int collect_until(lua_State* L) {
  static_cast<Until*>(lua_touserdata(L, 1))->~Until();
  return 0;
}

// The iterator: upvalues are the socket's object and the search.
int until_iterator(lua_State* L) {
  check_arguments(L, 0, 1, "expecting 0 or 1 argument, but seen %d");
  lua_Integer limit = lua_gettop(L) == 1 ? luaL_checkinteger(L, 1) : 0;
  if (limit < 0) limit = 0;
  TcpSocket& socket = tcp_of(L, lua_upvalueindex(1));
  const Request& r = check_request(L);
  if (const char* refused = why_not(L, socket, r, Use::reads)) return push_failure(L, refused);
  auto& until = *static_cast<Until*>(lua_touserdata(L, lua_upvalueindex(2)));
  if (until.take_end()) {
    lua_settop(L, 0);
    lua_settop(L, kMaxPartialResults);
    return kMaxPartialResults;
  }
  return read(L, socket, r, ReadMode::until, static_cast<std::size_t>(limit), &until);
}

// What receive() was asked for.
struct Wanted {
  ReadMode mode = ReadMode::line;
  std::size_t size = 0;
};

Wanted wanted_at(lua_State* L, int index) {
  if (lua_isnumber(L, index)) {
    const lua_Integer bytes = lua_tointeger(L, index);
    if (bytes < 0) luaL_argerror(L, index, "bad number argument");
    return {ReadMode::chunk, static_cast<std::size_t>(bytes)};
  }
  if (lua_type(L, index) != LUA_TSTRING) luaL_argerror(L, index, "bad argument");
  const std::string_view pattern = text_at(L, index);
  if (pattern == "*l") return {ReadMode::line};
  if (pattern == "*a") return {ReadMode::all};
  if (pattern.size() == 2 && pattern[0] == '*') luaL_argerror(L, index, "bad pattern argument");
  luaL_argerror(L, index, lua_pushfstring(L, "bad pattern argument: %s", pattern.data()));
  return {};
}

}  // namespace

int tcp_receive(lua_State* L) {
  const int n = check_arguments(L, 1, 2, "expecting 1 or 2 arguments (including the object), but got %d");
  const Request& r = check_request(L);
  TcpSocket& socket = tcp_of(L);
  if (const char* refused = why_not(L, socket, r, Use::reads)) {
    return refused == kClosed ? refuse_closed(L, socket, r, "receive") : push_failure(L, refused);
  }
  const Wanted wanted = n > 1 ? wanted_at(L, 2) : Wanted{};
  if (wanted.mode == ReadMode::chunk && wanted.size == 0) {
    lua_pushliteral(L, "");
    return 1;
  }
  return read(L, socket, r, wanted.mode, wanted.size, nullptr);
}

int tcp_receiveany(lua_State* L) {
  check_arguments(L, 2, 2, "expecting 2 arguments (including the object), but got %d");
  const Request& r = check_request(L);
  TcpSocket& socket = tcp_of(L);
  if (const char* refused = why_not(L, socket, r, Use::reads)) {
    return refused == kClosed ? refuse_closed(L, socket, r, "receive") : push_failure(L, refused);
  }
  if (!lua_isnumber(L, 2) || lua_tointeger(L, 2) <= 0) return luaL_argerror(L, 2, "bad max argument");
  const auto most = static_cast<std::size_t>(lua_tointeger(L, 2));
  log::debug(r.logger, "lua tcp socket calling receiveany() method to read at most {} bytes", most);
  return read(L, socket, r, ReadMode::any, most, nullptr);
}

int tcp_receiveuntil(lua_State* L) {
  check_arguments(L, 2, 3, "expecting 2 or 3 arguments (including the object), but got %d");
  bool inclusive = false;
  if (lua_gettop(L) == 3) {
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_getfield(L, 3, "inclusive");
    if (!lua_isnil(L, -1) && !lua_isboolean(L, -1)) {
      return luaL_error(L, "bad \"inclusive\" option value type: %s", luaL_typename(L, -1));
    }
    inclusive = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
  }
  check_request(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  const std::string_view pattern = text_at(L, 2);
  if (pattern.empty()) return push_failure(L, "pattern is empty");
  lua_pushvalue(L, 1);
  new (lua_newuserdata(L, sizeof(Until))) Until(pattern, inclusive);
  lua_pushlightuserdata(L, const_cast<char*>(&kUntilKey));
  lua_rawget(L, LUA_REGISTRYINDEX);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, collect_until);
    lua_setfield(L, -2, "__gc");
    lua_pushlightuserdata(L, const_cast<char*>(&kUntilKey));
    lua_pushvalue(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
  }
  lua_setmetatable(L, -2);
  lua_pushcclosure(L, waits<until_iterator>, 2);
  return 1;
}

}  // namespace mp::lua
