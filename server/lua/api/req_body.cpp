// ngx.req: reading, replacing and composing the request body.
#include "http/body.hpp"
#include "http/core_conf.hpp"
#include "lua/api.hpp"
#include "lua/request_data.hpp"
#include "lua/sched/detached.hpp"

namespace mp::lua {
namespace {

using State = http::RequestBody::State;

Request& check_client_request(lua_State* L, const char* without = "request object not found") {
  Request* r = request();
  if (r == nullptr) luaL_error(L, "%s", without);
  if (is_detached(*r)) luaL_error(L, "API disabled in the current context");
  return *r;
}

// For calls that give the request another body.
Request& check_replaceable(lua_State* L, const char* without) {
  Request& r = check_client_request(L, without);
  if (r.body.state == State::discarded) luaL_error(L, "request body already discarded asynchronously");
  if (r.body.state != State::read) luaL_error(L, "request body not read yet");
  return r;
}

void set_length(Request& r, std::uint64_t size) {
  r.body.size = size;
  r.content_length_in = static_cast<std::int64_t>(size);
  r.chunked_in = false;
  r.in.set(http::HeaderId::content_length, r.arena.copy(std::to_string(size)));
}

// read_body(): parks until the whole body has come.
int read_body(lua_State* L) {
  const int count = lua_gettop(L);
  if (count != 0) return luaL_error(L, "expecting 0 arguments but seen %d", count);
  Request& r = check_client_request(L);
  check_context(L, kRequestPhases);
  if (const int status = http::read_body(r, {.in_single_buffer = true}); status != 0) {
    self()->run->exit(Run::Exit::status, status);
  }
  return 0;
}

int discard_body(lua_State* L) {
  const int count = lua_gettop(L);
  if (count != 0) return luaL_error(L, "expecting 0 arguments but seen %d", count);
  Request& r = check_client_request(L);
  if (!http::discard_body(r)) return luaL_error(L, "failed to discard request body");
  return 0;
}

int push_nil(lua_State* L) {
  lua_pushnil(L);
  return 1;
}

int get_body_data(lua_State* L) {
  const int count = lua_gettop(L);
  if (count > 1) return luaL_error(L, "expecting 0 or 1 arguments but seen %d", count);
  const auto max = count == 1 ? static_cast<std::size_t>(luaL_checknumber(L, 1)) : 0;
  Request& r = check_client_request(L);
  if (r.body.state != State::read || r.body.in_file()) return push_nil(L);
  std::string_view text = r.body.text(r);
  if (text.empty()) return push_nil(L);
  if (max != 0) text = text.substr(0, max);
  push(L, text);
  return 1;
}

int get_body_file(lua_State* L) {
  const int count = lua_gettop(L);
  if (count != 0) return luaL_error(L, "expecting 0 arguments but seen %d", count);
  Request& r = check_client_request(L);
  const http::TempFile* file = r.body.stored();
  if (file == nullptr) return push_nil(L);
  push(L, file->path());
  return 1;
}

int set_body_data(lua_State* L) {
  const int count = lua_gettop(L);
  if (count != 1) return luaL_error(L, "expecting 1 arguments but seen %d", count);
  const std::string_view body = text_at(L, 1);
  Request& r = check_replaceable(L, "request object not found");
  r.body.borrowed_file = nullptr;
  http::set_body(r, body);
  return 0;
}

// set_body_file(path, remove?)
int set_body_file(lua_State* L) {
  const int count = lua_gettop(L);
  if (count != 1 && count != 2) return luaL_error(L, "expecting 1 or 2 arguments but seen %d", count);
  const std::string_view path = text_at(L, 1);
  Request& r = check_replaceable(L, "no request found");
  bool remove = false;
  if (count == 2) {
    luaL_checktype(L, 2, LUA_TBOOLEAN);
    remove = lua_toboolean(L, 2) != 0;
  }
  r.body.parts.clear();
  r.body.borrowed_file = nullptr;
  if (const Status opened = r.body.file.open(path, remove); !opened) {
    log::error(r.logger, "{}", opened.error().text);
    return luaL_error(L, "open() \"%s\" failed", lua_tostring(L, 1));
  }
  const std::uint64_t size = r.body.file.size();
  if (size == 0) r.body.file.close();
  set_length(r, size);
  return 0;
}

// ---- composing: init_body, append_body, finish_body

struct ComposedBody {
  bool open = false;
  std::string text;      // what is not in the body's file yet
  std::size_t room = 0;  // how much of it is kept in memory
};

int init_body(lua_State* L) {
  const int count = lua_gettop(L);
  if (count > 1) return luaL_error(L, "expecting 0 or 1 argument but seen %d", count);
  Request& r = check_replaceable(L, "no request found");
  std::size_t room = r.conf<http::CoreLocation>().client_body_buffer_size;
  if (count == 1) {
    const lua_Integer size = luaL_checkinteger(L, 1);
    if (size < 0) return luaL_error(L, "bad size argument: %d", static_cast<int>(size));
    room = static_cast<std::size_t>(size);
  }
  r.body.parts.clear();
  r.body.borrowed_file = nullptr;
  r.body.file.close();
  r.body.size = 0;
  r.content_length_in = 0;
  auto& composed = r.ctx<ComposedBody>();
  composed.open = true;
  composed.text.clear();
  composed.room = room;
  return 0;
}

bool write_out(Request& r, std::string_view bytes) {
  if (r.body.file.fd() < 0) {
    const Status made = r.body.file.create(r.conf<http::CoreLocation>().client_body_temp_path.get());
    if (!made) {
      log::crit(r.logger, "{}", made.error().text);
      return false;
    }
    log::warn(r.logger, "a client request body is buffered to a temporary file {}", r.body.file.path());
  }
  const Status written = r.body.file.append(bytes);
  if (!written) log::crit(r.logger, "{}", written.error().text);
  return written.has_value();
}

ComposedBody& check_composing(lua_State* L, Request& r) {
  auto* composed = r.find_ctx<ComposedBody>();
  if (composed == nullptr || !composed->open) luaL_error(L, "request_body not initialized");
  return *composed;
}

int append_body(lua_State* L) {
  const int count = lua_gettop(L);
  if (count != 1) return luaL_error(L, "expecting 1 arguments but seen %d", count);
  const std::string_view bytes = text_at(L, 1);
  Request& r = check_client_request(L, "no request found");
  ComposedBody& composed = check_composing(L, r);
  composed.text.append(bytes);
  r.content_length_in += static_cast<std::int64_t>(bytes.size());
  if (composed.text.size() > composed.room) {
    const bool ok = write_out(r, composed.text);
    composed.text.clear();
    if (!ok) return luaL_error(L, "fail to write file");
  }
  return 0;
}

int finish_body(lua_State* L) {
  const int count = lua_gettop(L);
  if (count != 0) return luaL_error(L, "expecting 0 argument but seen %d", count);
  Request& r = check_client_request(L, "no request found");
  ComposedBody& composed = check_composing(L, r);
  composed.open = false;
  if (r.body.file.fd() >= 0) {
    if (!composed.text.empty() && !write_out(r, composed.text)) return luaL_error(L, "fail to write file");
  } else if (!composed.text.empty()) {
    r.body.parts.push_back(r.arena.copy(composed.text));
  }
  composed.text.clear();
  set_length(r, static_cast<std::uint64_t>(r.content_length_in));
  return 0;
}

// The body's text for get_post_args(): text, or nil and why there is none; nothing when it is empty.
int post_text(lua_State* L) {
  Request& r = check_client_request(L, "no request object found");
  if (r.body.state == State::discarded) return 0;
  if (r.body.state != State::read) {
    return luaL_error(L, "no request body found; maybe you should turn on lua_need_request_body?");
  }
  if (r.body.in_file()) return push_failure(L, "request body in temp file not supported");
  const std::string_view text = r.body.text(r);
  if (text.empty()) return 0;
  push(L, text);
  return 1;
}

constexpr luaL_Reg kFunctions[] = {
    {"read_body", waits<read_body>},  {"discard_body", waits<discard_body>}, {"get_body_data", get_body_data},
    {"get_body_file", get_body_file}, {"set_body_data", set_body_data},      {"set_body_file", set_body_file},
    {"init_body", init_body},         {"append_body", append_body},          {"finish_body", finish_body},
    {"post_text", post_text},
};

}  // namespace

extern const Group kReqBodyGroup = {"req_body", kFunctions};

}  // namespace mp::lua
