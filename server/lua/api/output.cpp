// ngx.say, ngx.print, ngx.flush, ngx.eof, ngx.send_headers.
#include "lua/output.hpp"

#include <memory>

#include "http/exchange.hpp"
#include "http/lost_client.hpp"
#include "lua/api.hpp"
#include "lua/conf.hpp"
#include "lua/text.hpp"

namespace mp::lua {
namespace {

using http::Output;
using http::Piece;

constexpr const char* kFilterError = "nginx output filter error";

// Why nothing can be written any more; null when it can.
const char* closed_reason(const Request& r, const RequestData& data) {
  if (data.raw_socket) return "raw request socket acquired";
  if (r.header_only) return "header only";
  if (data.eof) return "seen eof";
  return nullptr;
}

RequestData& data_of(Request& r) {
  return *request_data(r);
}

int succeed(lua_State* L, bool ok) {
  if (!ok) return push_failure(L, kFilterError);
  lua_pushinteger(L, 1);
  return 1;
}

bool send(Request& r, RequestData& data, std::span<const Piece> pieces, bool empty) {
  if (empty) return send_head(r, data);
  data.seen_body_data = true;
  Output output;
  output.pieces = pieces;
  return send_body(r, data, output);
}

// Up to N texts on their way out; nothing is made of those that do not come.
template <std::size_t N>
class Pieces {
 public:
  Pieces() {}
  void add(std::string_view text) {
    if (!text.empty()) std::construct_at(room_ + used_++, Piece::memory(text));
  }
  bool empty() const { return used_ == 0; }
  std::span<const Piece> all() const { return {room_, used_}; }

 private:
  union {
    Piece room_[N];
  };
  std::size_t used_ = 0;
};

// Arguments that are all strings go out as they are, without a copy.
constexpr int kMostPieces = 16;

bool all_strings(lua_State* L, int count) {
  if (count >= kMostPieces) return false;
  for (int i = 1; i <= count; ++i) {
    if (lua_type(L, i) != LUA_TSTRING) return false;
  }
  return true;
}

int echo(lua_State* L, bool newline) {
  Request* const now = request();
  if (now == nullptr) return luaL_error(L, "no request object found");
  Request& r = *now;
  check_context(L, kRequestPhases);
  RequestData& data = data_of(r);
  if (const char* reason = closed_reason(r, data)) return push_failure(L, reason);

  const int count = lua_gettop(L);
  if (all_strings(L, count)) {
    Pieces<kMostPieces + 1> pieces;
    for (int i = 1; i <= count; ++i) {
      std::size_t size = 0;
      const char* text = lua_tolstring(L, i, &size);
      pieces.add({text, size});
    }
    if (newline) pieces.add("\n");
    return succeed(L, send(r, data, pieces.all(), pieces.empty()));
  }
  std::string text;
  for (int i = 1; i <= count; ++i) append_text(L, i, i, text);
  if (newline) text.push_back('\n');
  const Piece piece = Piece::memory(text);
  return succeed(L, send(r, data, {&piece, 1}, text.empty()));
}

int print(lua_State* L) {
  return echo(L, false);
}
int say(lua_State* L) {
  return echo(L, true);
}

// flush(wait?): with `wait` it returns when the kernel has taken everything.
int flush(lua_State* L) {
  const int count = lua_gettop(L);
  if (count > 1) return luaL_error(L, "attempt to pass %d arguments, but accepted 0 or 1", count);
  Request& r = check_request(L);
  bool wait = false;
  if (count == 1 && !r.is_sub()) {
    luaL_checktype(L, 1, LUA_TBOOLEAN);
    wait = lua_toboolean(L, 1) != 0;
  }
  check_context(L, kRequestPhases);
  RequestData& data = data_of(r);
  if (const char* reason = closed_reason(r, data)) return push_failure(L, reason);
  if (data.buffering) return push_failure(L, "buffering");
  if (!r.head_sent || (!data.seen_body_data && !wait)) return push_failure(L, "nothing to flush");
  Output output;
  output.flush = true;
  const bool ok = send_body(r, data, output) && (!wait || r.exchange == nullptr || r.exchange->flush(r));
  if (ok || !wait) return succeed(L, ok);
  return push_failure(L, r.main->find_ctx<http::ClientTimedOut>() != nullptr ? "timeout" : "client aborted");
}

int eof(lua_State* L) {
  Request* const now = request();
  if (now == nullptr) return luaL_error(L, "no request object found");
  Request& r = *now;
  if (lua_gettop(L) != 0) return luaL_error(L, "no argument is expected");
  RequestData& data = data_of(r);
  if (data.raw_socket) return push_failure(L, "raw request socket acquired");
  if (data.eof) return push_failure(L, "seen eof");
  check_context(L, kRequestPhases);
  const bool ok = end_body(r, data);
  // Whatever the script goes on to do, the client has it now. (Over HTTP/2 this would wait for the kernel.)
  if (ok && r.exchange != nullptr && !r.is_sub() && !r.connection.is_http2) r.exchange->flush(r);
  return succeed(L, ok);
}

int send_headers(lua_State* L) {
  Request& r = check_request(L, kRequestPhases);
  return succeed(L, send_head(r, data_of(r)));
}

// Whether the header filters could do more than look at the response and change its head: run Lua, or answer
// with another response.
bool head_is_plain(const Request& r) {
  const auto& settings = r.conf<LuaLocation>();
  if (settings.header_filter != nullptr || settings.body_filter != nullptr) return false;
  for (const http::HeaderField& field : r.in) {
    switch (field.id) {
      case http::HeaderId::if_match:
      case http::HeaderId::if_none_match:
      case http::HeaderId::if_modified_since:
      case http::HeaderId::if_unmodified_since:
      case http::HeaderId::range:
        return false;
      default:
        break;
    }
  }
  return true;
}

// Sends the head where that neither waits nor runs Lua.
bool send_head_at_once(Request& r, RequestData& data) {
  return r.version >= http::Version::http11 && head_is_plain(r) && r.exchange->can_hold_head() &&
         send_head(r, data);
}

// The part of echo() that neither waits nor runs Lua.
bool echo_at_once(Request& r, std::span<const std::string_view> texts) {
  if (r.is_sub() || r.sink != r.exchange || r.aborted || r.finished) return false;
  if ((context() & kRequestPhases) == 0) return false;
  RequestData* data = request_data(r);
  if (data == nullptr || closed_reason(r, *data) != nullptr || data->buffering || data->writing) [[unlikely]]
    return false;
  if (!r.head_sent && !send_head_at_once(r, *data)) return false;
  if (r.header_only || r.has_body_filters() || !r.exchange->hold(r, texts)) return false;
  data->seen_body_data = true;
  return true;
}

constexpr luaL_Reg kFunctions[] = {
    {"print", waits<print>},
    {"say", waits<say>},
    {"flush", waits<flush>},
    {"eof", waits<eof>},
    {"send_headers", waits<send_headers>},
};

}  // namespace

extern const Group kOutputGroup = {"output", kFunctions};

}  // namespace mp::lua

extern "C" {

// Puts the texts with what is held back. 0 when it was done; else -2, and the function that may wait is to be
// called with the same.
int mp_output_try(const mp::lua::Str* texts, int count, int newline) {
  using namespace mp::lua;
  constexpr int kMost = 3;
  Request* const r = request();
  if (r == nullptr || count > kMost) return kAgain;
  std::string_view all[kMost + 1];
  std::size_t used = 0;
  for (int i = 0; i < count; ++i) all[used++] = view(texts[i].data, texts[i].size);
  if (newline != 0) all[used++] = "\n";
  return echo_at_once(*r, {all, used}) ? kOk : kAgain;
}

// The same for one text.
int mp_output_try_one(const char* text, std::size_t size, int newline) {
  using namespace mp::lua;
  Request* const r = request();
  if (r == nullptr) return kAgain;
  const std::string_view all[] = {view(text, size), "\n"};
  return echo_at_once(*r, {all, newline != 0 ? 2U : 1U}) ? kOk : kAgain;
}
}
