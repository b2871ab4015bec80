// ngx.req.socket: the request body, or the raw connection of the client, as a socket.
#include "http/exchange.hpp"
#include "http/header_id.hpp"
#include "lua/api/tcp_common.hpp"
#include "lua/request_data.hpp"

namespace mp::lua {
namespace {

// Null when the raw connection can be had, else why not.
const char* why_not_raw(Request& r, const RequestData& data) {
  if (r.body.state == http::RequestBody::State::reading)
    return "pending request body reading in some other thread";
  if (r.exchange->unsent() > 0) return "pending data to write";
  if (data.buffering) return "http 1.0 buffering";
  if (data.raw_socket) return "duplicate call";
  return nullptr;
}

const char* why_no_body(const Request& r) {
  if (r.body.state == http::RequestBody::State::discarded) return "request body discarded";
  if (r.body.state != http::RequestBody::State::unread) return "request body already exists";
  if (r.content_length_in <= 0 && !r.chunked_in) return "no body";
  return nullptr;
}

int raw_socket(lua_State* L, Request& r, RequestData& data) {
  std::string_view read_ahead;
  if (!r.exchange->take_over(r, read_ahead)) return push_failure(L, "no raw connection with HTTP/2");
  r.head_sent = true;
  r.keepalive = false;
  data.eof = data.raw_socket = true;
  TcpSocket& socket = push_tcp(L, TcpSocket::Kind::raw);
  socket.attach(r);
  socket.used = true;
  socket.input.append(read_ahead);
  return 1;
}

}  // namespace

int req_socket(lua_State* L) {
  if (lua_gettop(L) > 1) return luaL_error(L, "expecting 0 or 1 argument, but got %d", lua_gettop(L));
  const bool raw = lua_toboolean(L, 1) != 0;
  Request& r = check_request(L);
  if (r.is_sub()) return luaL_error(L, "attempt to read the request body in a subrequest");
  // Chunks are of HTTP/1: a body of unknown length over HTTP/2 has none.
  if (!raw && r.chunked_in && !r.connection.is_http2)
    return push_failure(L, "chunked request bodies not supported yet");
  check_context(L, kRequestPhases);
  RequestData& data = r.ctx<RequestData>();
  if (raw) {
    if (const char* why = why_not_raw(r, data)) return push_failure(L, why);
    return raw_socket(L, r, data);
  }
  if (const char* why = why_no_body(r)) return push_failure(L, why);
  // At once: the script may answer before it reads.
  if (http::expects_continue(r) && !r.exchange->send_informational(r, 100)) {
    return push_failure(L, "test expect failed");
  }
  r.body.state = http::RequestBody::State::read;
  TcpSocket& socket = push_tcp(L, TcpSocket::Kind::body);
  socket.attach(r);
  socket.used = true;
  return 1;
}

}  // namespace mp::lua
