// ngx.req: method, URI, arguments, version, header fields of the request.
#include <cstring>

#include "base/ascii.hpp"
#include "base/escape.hpp"
#include "base/strings.hpp"
#include "http/request_fields.hpp"
#include "http/uri.hpp"
#include "lua/api.hpp"
#include "lua/api/field.hpp"
#include "lua/sched/detached.hpp"

namespace mp::lua {
namespace {

using http::HeaderField;
using http::HeaderId;

int usable_request(Request*& r) {
  r = request();
  if (r == nullptr) return kNoRequest;
  return is_detached(*r) ? kBadContext : kOk;
}

Request& check_client_request(lua_State* L, const char* without = "no request found") {
  Request* r = request();
  if (r == nullptr) luaL_error(L, "%s", without);
  if (is_detached(*r)) luaL_error(L, "API disabled in the current context");
  return *r;
}

// ---- header fields

bool is_single(HeaderId id) {
  return http::is_unique_in_request(id) || id == HeaderId::user_agent || id == HeaderId::referer ||
         id == HeaderId::content_type || id == HeaderId::range || id == HeaderId::connection;
}

bool set_field(Request& r, std::string_view name, std::string_view value, bool replace) {
  const HeaderId id = http::header_id(name);
  if (!http::follow_request_field(r, id, value)) return false;
  if (value.empty() && (replace || is_single(id))) {
    r.in.remove(name);
  } else if (replace || is_single(id)) {
    r.in.set(name, value);
  } else {
    r.in.add(name, value);
  }
  return true;
}

// ---- URI

// set_uri(uri, jump?, binary?)
int set_uri(lua_State* L) {
  const int count = lua_gettop(L);
  if (count < 1 || count > 3) return luaL_error(L, "expecting 1, 2 or 3 arguments but seen %d", count);
  Request& r = check_client_request(L);
  const std::string_view uri = text_at(L, 1);
  if (uri.empty()) return luaL_error(L, "attempt to use zero-length uri");
  bool binary = false;
  bool jump = false;
  if (count >= 3) {
    luaL_checktype(L, 3, LUA_TBOOLEAN);
    binary = lua_toboolean(L, 3) != 0;
  }
  if (const auto byte = binary ? std::nullopt : http::find_unsafe_uri_byte(uri)) {
    push(L, escape_log(r.arena, uri));
    char code[3];
    std::snprintf(code, sizeof code, "%02x", *byte);
    return luaL_error(L, "unsafe byte \"0x%s\" in uri \"%s\" (maybe you want to set the 'binary' argument?)",
                      code, lua_tostring(L, -1));
  }
  if (count >= 2) {
    luaL_checktype(L, 2, LUA_TBOOLEAN);
    jump = lua_toboolean(L, 2) != 0;
    if (jump) {
      check_context(L, kRewrite | kServerRewrite);
      if (!self()->run->exit_possible()) return luaL_error(L, "attempt to abort with pending subrequests");
    }
  }
  r.set_uri(r.arena.copy(uri));
  r.internal = true;
  r.valid_raw_uri = false;
  r.uri_changed = jump;
  if (jump) self()->run->exit(Run::Exit::redirect_uri, 0);
  return 0;
}

// Characters that must not stand in a query are escaped.
std::string_view escape_args(Arena& arena, std::string_view text) {
  const auto unsafe = [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; };
  std::size_t count = 0;
  for (char c : text) count += unsafe(c);
  if (count == 0) return arena.copy(text);
  constexpr char kHex[] = "0123456789ABCDEF";
  char* out = arena.bytes(text.size() + 2 * count);
  char* p = out;
  for (char c : text) {
    if (!unsafe(c)) {
      *p++ = c;
      continue;
    }
    *p++ = '%';
    *p++ = kHex[static_cast<unsigned char>(c) >> 4];
    *p++ = kHex[static_cast<unsigned char>(c) & 15];
  }
  return {out, static_cast<std::size_t>(p - out)};
}

// set_uri_args(text, number or table)
int set_uri_args(lua_State* L) {
  if (lua_gettop(L) != 1) return luaL_error(L, "expecting 1 argument but seen %d", lua_gettop(L));
  Request& r = check_client_request(L, "no request object found");
  switch (lua_type(L, 1)) {
    case LUA_TNUMBER:
      r.args = r.arena.copy(text_at(L, 1));
      break;
    case LUA_TSTRING:
      r.args = escape_args(r.arena, text_at(L, 1));
      break;
    case LUA_TTABLE:
      lua_getglobal(L, "ngx");
      lua_getfield(L, -1, "encode_args");
      lua_pushvalue(L, 1);
      lua_call(L, 1, 1);
      r.args = r.arena.copy(text_at(L, -1));
      break;
    default:
      return luaL_argerror(
          L, 1, lua_pushfstring(L, "string, number, or table expected, but got %s", luaL_typename(L, 1)));
  }
  if (r.args.empty()) r.args = "";  // emptied, not none
  r.valid_raw_uri = false;
  return 0;
}

int http_version(lua_State* L) {
  Request& r = check_client_request(L, "no request object found");
  switch (r.version) {
    case http::Version::http09:
      lua_pushnumber(L, 0.9);
      break;
    case http::Version::http10:
      lua_pushnumber(L, 1.0);
      break;
    case http::Version::http11:
      lua_pushnumber(L, 1.1);
      break;
    case http::Version::http20:
      lua_pushnumber(L, 2.0);
      break;
  }
  return 1;
}

// HTTP/2 has no such text: what an HTTP/1.1 client would have sent.
std::string_view written_head(Request& r) {
  std::string head(r.request_line);
  head.append("\r\n");
  for (const http::HeaderField& f : r.in) head.append(f.name).append(": ").append(f.value).append("\r\n");
  return r.arena.copy(head.append("\r\n"));
}

// raw_header(without_request_line?): the head as it was received.
int raw_header(lua_State* L) {
  Request& r = *check_client_request(L, "no request object found").main;
  std::string_view head = r.raw_head;
  if (head.empty() && r.connection.is_http2) head = r.raw_head = written_head(r);
  if (lua_toboolean(L, 1) != 0) {
    const std::size_t end = head.find('\n');
    head.remove_prefix(end == std::string_view::npos ? head.size() : end + 1);
  }
  push(L, head);
  return 1;
}

constexpr luaL_Reg kFunctions[] = {
    {"set_uri", set_uri},
    {"set_uri_args", set_uri_args},
    {"http_version", http_version},
    {"raw_header", raw_header},
};

}  // namespace

extern const Group kReqGroup = {"req", kFunctions};

}  // namespace mp::lua

using namespace mp::lua;

extern "C" {

struct mp_pair {
  Str key;
  Str value;  // a size of -1 stands for true
};

int mp_req_method() {
  Request* r;
  if (const int rc = usable_request(r); rc != kOk) return rc;
  return static_cast<int>(r->method);
}

void mp_req_method_text(Str* out) {
  *out = str(request()->method_text);
}

int mp_req_set_method(int method) {
  Request* r;
  if (const int rc = usable_request(r); rc != kOk) return rc;
  const auto value = static_cast<mp::http::Method>(method);
  const std::string_view name = mp::http::method_name(value);
  if (name.empty() || value == mp::http::Method::connect) return kDeclined;
  r->method = value;
  r->method_text = name;
  return kOk;
}

double mp_req_start_time() {
  const Request* r = request();
  return r != nullptr ? static_cast<double>(r->start_seconds) + r->start_msec / 1000.0 : -1;
}

// The name that has this number, in lower case; kDeclined behind the last.
int mp_req_field_name(int id, Str* out) {
  if (static_cast<std::size_t>(id) >= mp::http::kHeaderIdCount) return kDeclined;
  *out = str(header_name_lower(static_cast<HeaderId>(id)));
  return kOk;
}

// How many header fields there are, at most `max` of them in `out` (names in lower case unless `raw`).
int mp_req_headers(mp_field* out, int max, int raw, Str* before) {
  Request* r;
  if (const int rc = usable_request(r); rc != kOk) return rc;
  int count = 0;
  for (const HeaderField& field : r->in) {
    if (count < max) out[count] = listed_field(r->arena, field, raw != 0, before);
    ++count;
  }
  return count;
}

// As mp_resp_header_set(), for the request.
int mp_req_header_set(const char* name, std::size_t size, const Str* values, int count, int replace) {
  Request* r;
  if (const int rc = usable_request(r); rc != kOk) return rc;
  if (r->version < mp::http::Version::http10) return kDeclined;
  const std::string_view field =
      escape_uri(r->arena, r->arena.copy(view(name, size)), mp::UriEscape::lua_header_name);
  if (count == 0) return set_field(*r, field, {}, true) ? kOk : kError;
  for (int i = 0; i < count; ++i) {
    const std::string_view value = escape_uri(r->arena, r->arena.copy(view(values[i].data, values[i].size)),
                                              mp::UriEscape::lua_header_value);
    if (!set_field(*r, field, value, replace != 0 && i == 0)) return kError;
  }
  return kOk;
}

int mp_req_args(Str* out) {
  Request* r;
  if (const int rc = usable_request(r); rc != kOk) return rc;
  *out = str(r->args);
  return kOk;
}

// There was more than a table is to hold: for the debug log.
void mp_args_limited(const char* what, int seen, int limit) {
  if (seen != 0) {
    mp::log::debug(mp::lua::logger(), "{} {} > {}", what, seen, limit);
  } else {
    mp::log::debug(mp::lua::logger(), "{} {}", what, limit);
  }
}

// How many arguments a query has at most.
int mp_args_count(const char* text, std::size_t size) {
  if (size == 0) return 0;
  int count = 1;
  for (std::size_t i = 0; i < size; ++i) count += text[i] == '&';
  return count;
}

// Takes a query apart: at most `max` pairs in `out`, decoded into `buffer`, which has room for the whole
// text.
int mp_args_parse(const char* text, std::size_t size, char* buffer, mp_pair* out, int max) {
  int count = 0;
  for (std::string_view pair : mp::split(view(text, size), '&')) {
    if (count == max) break;
    const std::size_t equals = pair.find('=');
    const std::string_view key = pair.substr(0, equals);
    char* const key_end = mp::unescape_form_into(buffer, key);
    if (key_end == buffer) continue;
    mp_pair& one = out[count++];
    one.key = {buffer, static_cast<std::size_t>(key_end - buffer)};
    buffer = key_end;
    one.value = {nullptr, static_cast<std::size_t>(-1)};
    if (equals == std::string_view::npos) continue;
    char* const end = mp::unescape_form_into(buffer, pair.substr(equals + 1));
    one.value = {buffer, static_cast<std::size_t>(end - buffer)};
    buffer = end;
  }
  return count;
}
}
