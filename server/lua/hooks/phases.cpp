// server_rewrite_by_lua, rewrite_by_lua, access_by_lua, precontent_by_lua and content_by_lua.
#include "http/body.hpp"
#include "http/request.hpp"
#include "lua/conf.hpp"
#include "lua/hooks/client_abort.hpp"
#include "lua/hooks/hooks.hpp"
#include "lua/output.hpp"
#include "lua/sched/light_thread.hpp"

namespace mp::lua {

using http::Request;
using http::Step;

namespace {

constexpr int kError = -1;
constexpr int kDeclined = -5;

bool ends_connection(int code) {
  return code == kError || code == 408 || code == 444 || code == 499;
}

// The response cannot be completed: the connection is closed instead.
Step abort_response(Request& r) {
  if (r.is_sub() && !r.head_sent) r.out.status = 500;
  r.keepalive = false;
  r.aborted = true;
  return Step::done();
}

// What a hook that ended normally means for its phase.
[[gnu::always_inline]] inline Step after_phase(Request& r, RequestData& data, Context context) {
  // Where the response was made, later phases could only make another one.
  if (context == kContent || headers_sent(r, data)) {
    end_body(r, data);
    return Step::done();
  }
  return context == kAccess ? Step::pass() : Step::decline();
}

Step after_exit(Request& r, RequestData& data, Context context, int code) {
  if (code == kError) return abort_response(r);
  if (!headers_sent(r, data) && r.out.status == 0 && code >= 200) r.out.status = code;
  const bool sent = headers_sent(r, data);
  if (data.buffering && r.out.status != 0 && !ends_connection(code)) {
    end_body(r, data);
    if (code >= 200) return Step::done();
  } else if ((code == 0 && context == kContent) || (code >= 200 && code < 300 && code != 204)) {
    end_body(r, data);
    return Step::done();
  }
  if (sent && code > 0 && !ends_connection(code)) {
    end_body(r, data);
    return Step::done();
  }
  if (code == 0) return after_phase(r, data, context);
  // No other handler makes the response instead: there is none.
  if (code == kDeclined) return context == kContent ? Step::done() : Step::decline();
  if (code < 0) return abort_response(r);
  return Step::finish(code);
}

Step after_exec(Request& r, const RequestData& data) {
  const std::string_view uri = data.exec_uri;
  if (uri.front() != '@') return r.internal_redirect(uri, data.exec_args);
  if (!data.exec_args.empty()) {
    log::warn(r.logger, "query strings {} ignored when exec'ing named location {}", data.exec_args, uri);
  }
  return r.named_location(uri);
}

// What a hook means that did not end by returning.
[[gnu::noinline]] Step after_other(Request& r, RequestData& data, Run& run, Run::End end) {
  switch (end) {
    case Run::End::returned:
      break;
    case Run::End::failed:
      return headers_sent(r, data) ? abort_response(r) : Step::finish(500);
    case Run::End::cancelled:
      throw fiber::Cancelled{};
    case Run::End::exited:
      switch (run.exit_kind()) {
        case Run::Exit::status:
          return after_exit(r, data, run.context, run.exit_status());
        case Run::Exit::exec:
          return after_exec(r, data);
        case Run::Exit::redirect_uri:
          r.drop_ctx<RequestData>();  // ngx.ctx starts afresh at the new location
          return Step::decline();
        case Run::Exit::none:
          break;
      }
  }
  return after_phase(r, data, run.context);
}

[[gnu::always_inline]] inline Step go(Request& r, RequestData& data, Run& run) {
  const Run::End end = run.go(0);
  if (end == Run::End::returned) [[likely]]
    return after_phase(r, data, run.context);
  return after_other(r, data, run, end);
}

[[gnu::noinline]] Step go_watched(Request& r, RequestData& data, Run& run) {
  const AbortWatch watch(r, run);
  return go(r, data, run);
}

Step run_hook(Request& r, const Chunk& chunk, Context context) {
  RequestData* data = request_data(r);
  if (data == nullptr) [[unlikely]]
    return Step::finish(500);
  const auto& settings = r.conf<LuaLocation>();
  if (settings.need_request_body && !r.is_sub()) [[unlikely]] {
    if (const int status = http::read_body(r, {.in_single_buffer = true}); status != 0)
      return Step::finish(status);
  }
  const RunScope run(*data->vm, &r, context);
  int status = 0;
  if (!push_code(*run, chunk, status)) [[unlikely]]
    return Step::finish(status);
  if (settings.check_client_abort) [[unlikely]]
    return go_watched(r, *data, *run);
  return go(r, *data, *run);
}

const LuaLocation& location(const Request& r) {
  return r.conf<LuaLocation>();
}

// The hook runs in its place of the phase, or with NAME_by_lua_no_postpone in front of all others.
bool wants(const conf::Sets& sets, Chunk* LuaLocation::* chunk, const Setting<bool>& first, bool as_first) {
  return sets.get<LuaLocation>().*chunk != nullptr && first == as_first;
}

}  // namespace

Step lua_server_rewrite(Request& r) {
  return run_hook(r, *r.conf<LuaServer>().server_rewrite, kServerRewrite);
}
bool wants_server_rewrite(const conf::Sets& sets) {
  return sets.get<LuaServer>().server_rewrite != nullptr;
}

Step lua_rewrite(Request& r) {
  if (r.uri_changed) return Step::decline();  // by the script: another location will serve it
  return run_hook(r, *location(r).rewrite, kRewrite);
}
bool wants_rewrite_first(const conf::Sets& sets) {
  return wants(sets, &LuaLocation::rewrite, sets.get<LuaMain>().rewrite_no_postpone, true);
}
bool wants_rewrite(const conf::Sets& sets) {
  return wants(sets, &LuaLocation::rewrite, sets.get<LuaMain>().rewrite_no_postpone, false);
}

Step lua_access(Request& r) {
  return run_hook(r, *location(r).access, kAccess);
}
bool wants_access_first(const conf::Sets& sets) {
  return wants(sets, &LuaLocation::access, sets.get<LuaMain>().access_no_postpone, true);
}
bool wants_access(const conf::Sets& sets) {
  return wants(sets, &LuaLocation::access, sets.get<LuaMain>().access_no_postpone, false);
}

Step lua_precontent(Request& r) {
  return run_hook(r, *location(r).precontent, kPrecontent);
}
bool wants_precontent_first(const conf::Sets& sets) {
  return wants(sets, &LuaLocation::precontent, sets.get<LuaMain>().precontent_no_postpone, true);
}
bool wants_precontent(const conf::Sets& sets) {
  return wants(sets, &LuaLocation::precontent, sets.get<LuaMain>().precontent_no_postpone, false);
}

Step lua_content(Request& r) {
  return run_hook(r, *location(r).content, kContent);
}

}  // namespace mp::lua
