// ngx.exit, ngx.exec, ngx.redirect, ngx.on_abort: what ends or redirects a request.
#include <cstdio>

#include "base/escape.hpp"
#include "http/uri.hpp"
#include "lua/api.hpp"
#include "lua/conf.hpp"
#include "lua/output.hpp"
#include "lua/sched/detached.hpp"

namespace mp::lua {
namespace {

constexpr Contexts kMayExit = kYieldable | kHeaderFilter | kBalancer | kSslSessionStore;
// Where ngx.exit only notes the status: the script goes on.
constexpr Contexts kExitNoted = kHeaderFilter | kBalancer | kSslSessionStore;

bool is_final(int status) {
  return status == 408 || status == 444 || status == 499;
}

int exit(lua_State* L) {
  if (in_finalizer(L)) refuse_finalizer(L);
  Request& r = check_request(L);
  int status = static_cast<int>(luaL_checkinteger(L, 1));
  if (status == kAgain || status == kDone) {
    return luaL_error(L, "bad argument to 'ngx.exit': does not accept NGX_AGAIN or NGX_DONE");
  }
  check_context(L, kMayExit);
  Run& run = *self()->run;
  if ((run.context & (kSslPhases | kSslSessionStore)) != 0) {
    run.note_exit(Run::Exit::status, status);
    if (run.context == kSslSessionStore) return 0;
    run.exit(Run::Exit::status, status);
  }
  if (status != kError && !is_final(status) && !run.exit_possible()) {
    return luaL_error(L, "attempt to abort with pending subrequests");
  }
  log::debug(r.logger, "lua exit with code {}", status);
  const RequestData* data = r.find_ctx<RequestData>();
  if (data != nullptr && headers_sent(r, *data) && status >= 300 && !is_final(status)) {
    if (status != r.out.status) {
      log::error(r.logger, "attempt to set status {} via ngx.exit after sending out the response status {}",
                 status, r.out.status);
    }
    status = 200;
  }
  if ((run.context & kExitNoted) != 0) {
    run.note_exit(Run::Exit::status, status);
    return 0;
  }
  run.exit(Run::Exit::status, status);
}

// The request of a call that redirects; raises unless it may.
Request& check_redirect(lua_State* L, const char* after_headers) {
  if (in_finalizer(L)) refuse_finalizer(L);
  Request* const r = request();
  if (r == nullptr) luaL_error(L, "no request object found");
  check_context(L, kRequestPhases);
  if (!self()->run->exit_possible()) luaL_error(L, "attempt to abort with pending subrequests");
  if (headers_sent(*r, *request_data(*r))) luaL_error(L, "%s", after_headers);
  return *r;
}

// The second argument of ngx.exec: text, or a table for ngx.encode_args.
std::string_view arguments_at(lua_State* L, Request& r, int index) {
  switch (lua_type(L, index)) {
    case LUA_TNIL:
    case LUA_TNONE:
      return {};
    case LUA_TNUMBER:
    case LUA_TSTRING:
      return r.arena.copy(text_at(L, index));
    case LUA_TTABLE:
      lua_getglobal(L, "ngx");
      lua_getfield(L, -1, "encode_args");
      lua_pushvalue(L, index);
      lua_call(L, 1, 1);
      return r.arena.copy(text_at(L, -1));
    default:
      luaL_argerror(
          L, index,
          lua_pushfstring(L, "string, number, or table expected, but got %s", luaL_typename(L, index)));
      return {};
  }
}

int exec(lua_State* L) {
  const int count = lua_gettop(L);
  if (count != 1 && count != 2) return luaL_error(L, "expecting one or two arguments, but got %d", count);
  Request* const r = request();
  if (r == nullptr) return luaL_error(L, "no request object found");
  const std::string_view target = text_at(L, 1);
  if (target.empty()) return luaL_error(L, "The uri argument is empty");
  check_context(L, kRequestPhases);
  if (!self()->run->exit_possible()) return luaL_error(L, "attempt to abort with pending subrequests");
  const auto parsed = http::parse_internal_uri(r->arena, r->arena.copy(target));
  if (!parsed) {
    log::error(r->logger, "unsafe URI \"{}\" was detected", target);
    return luaL_error(L, "unsafe uri");
  }
  std::string_view args = parsed->args;
  if (const std::string_view more = arguments_at(L, *r, 2); !more.empty()) {
    args = args.empty() ? more : r->arena.concat(args, "&", more);
  }
  check_redirect(L, "attempt to call ngx.exec after sending out response headers");
  RequestData& data = *request_data(*r);
  data.exec_uri = parsed->path;
  data.exec_args = args;
  self()->run->exit(Run::Exit::exec, 0);
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

int redirect(lua_State* L) {
  const int count = lua_gettop(L);
  if (count != 1 && count != 2) return luaL_error(L, "expecting one or two arguments");
  const std::string_view target = text_at(L, 1);
  const int status = count == 2 ? static_cast<int>(luaL_checknumber(L, 2)) : 302;
  if (!is_redirect(status)) {
    return luaL_error(
        L,
        "only ngx.HTTP_MOVED_TEMPORARILY, ngx.HTTP_MOVED_PERMANENTLY, ngx.HTTP_PERMANENT_REDIRECT, "
        "ngx.HTTP_SEE_OTHER, and ngx.HTTP_TEMPORARY_REDIRECT are allowed");
  }
  Request& r = check_redirect(L, "attempt to call ngx.redirect after sending out the headers");
  if (const auto byte = http::find_unsafe_uri_byte(target)) {
    const std::string_view shown = escape_log(r.arena, target);
    push(L, shown);
    char code[3];
    std::snprintf(code, sizeof code, "%02x", *byte);
    return luaL_error(L, "unsafe byte \"0x%s\" in redirect uri \"%s\"", code, lua_tostring(L, -1));
  }
  const bool local = target.starts_with('/');
  // A local target is sent as it is: without an id the field is not made absolute.
  r.out.headers.add(
      {"Location", r.arena.copy(target), local ? http::HeaderId::unknown : http::HeaderId::location});
  r.out.status = status;
  self()->run->exit(Run::Exit::status, status);
}

int on_abort(lua_State* L) {
  Request& r = check_request(L);
  if (is_detached(r)) return luaL_error(L, "API disabled in the context of %s", context_name(context()));
  luaL_argcheck(L, lua_isfunction(L, 1) && !lua_iscfunction(L, 1), 1, "Lua function expected");
  Run& run = *self()->run;
  if (run.has_on_abort()) return push_failure(L, "duplicate call");
  if (!r.conf<LuaLocation>().check_client_abort) return push_failure(L, "lua_check_client_abort is off");
  check_context(L, kYieldable);
  lua_settop(L, 1);
  run.set_on_abort(L);
  lua_pushinteger(L, 1);
  return 1;
}

constexpr luaL_Reg kFunctions[] = {
    {"exit", exit}, {"exec", exec}, {"redirect", redirect}, {"on_abort", on_abort}};

}  // namespace

extern const Group kControlGroup = {"control", kFunctions};

}  // namespace mp::lua
