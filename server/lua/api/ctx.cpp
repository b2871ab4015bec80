// ngx.ctx and the globals of a request, ngx.status, ngx.headers_sent, ngx.is_subrequest, ngx.get_phase.
#include "http/request.hpp"
#include "lua/api.hpp"
#include "lua/output.hpp"
#include "lua/sched/detached.hpp"

namespace mp::lua {
namespace {

// The table that holds the tables of all requests; Lua finds those of the running request by mp_ctx_place()
// and its like.
int request_tables(lua_State* L) {
  Vm::of(L).push_request_tables(L);
  return 1;
}

// The coroutine at 1 as coroutine.status() sees light threads: "running", "normal", "zombie", "dead"; nothing
// for other coroutines.
const char* light_status(lua_State* L, lua_State* coroutine) {
  LightThread* me = self();
  LightThread* thread = me != nullptr && coroutine != nullptr ? me->run->find(coroutine) : nullptr;
  if (thread == nullptr) return nullptr;
  if (thread->state == LightThread::State::running) {
    const lua_State* inner = thread == me ? L : thread->active;
    if (inner != nullptr && inner != coroutine) return "normal";
  }
  constexpr const char* kNames[] = {"running", "zombie", "dead"};
  return kNames[static_cast<int>(thread->state)];
}

int thread_status(lua_State* L) {
  const char* status = light_status(L, lua_tothread(L, 1));
  if (status == nullptr) return 0;
  lua_pushstring(L, status);
  return 1;
}

// Why the coroutine at 1 cannot be resumed; nothing when LuaJIT may try.
int resume_refusal(lua_State* L) {
  lua_State* coroutine = lua_tothread(L, 1);
  if (coroutine == nullptr) return 0;
  const char* status = light_status(L, coroutine);
  lua_Debug frame;
  if (status == nullptr && coroutine != L && lua_status(coroutine) == 0 &&
      lua_getstack(coroutine, 0, &frame) != 0) {
    status = "normal";
  }
  if (status == nullptr) return 0;
  lua_pushfstring(L, "cannot resume %s coroutine", status);
  return 1;
}

// coroutine.wrap() hands on the error at 2 of the coroutine at 1.
int note_error(lua_State* L) {
  LightThread* me = self();
  lua_State* coroutine = lua_tothread(L, 1);
  if (me != nullptr && coroutine != nullptr && lua_type(L, 2) == LUA_TSTRING) {
    me->run->trail().note(coroutine, text_at(L, 2));
  }
  return 0;
}

// Remembers that Lua code holds the coroutine of the entry thread.
int note_running(lua_State* L) {
  LightThread* me = self();
  if (me != nullptr && me->coroutine.L == L) me->run->share(*me);
  return 0;
}

int current_request(lua_State* L) {
  Request* r = request();
  if (r == nullptr) return 0;
  lua_pushlightuserdata(L, r);
  return 1;
}

int raw_phase(lua_State* L) {
  if (request() == nullptr) return 0;
  lua_pushinteger(L, context());
  return 1;
}

constexpr luaL_Reg kFunctions[] = {{"request_tables", request_tables},  {"thread_status", thread_status},
                                   {"resume_refusal", resume_refusal},  {"note_error", note_error},
                                   {"note_running", note_running},      {"raw_phase", raw_phase},
                                   {"current_request", current_request}};

// Gives the request its tables.
[[gnu::noinline]] int new_ctx_place(Request& r) {
  RequestData* data = request_data(r);
  if (data == nullptr) return 0;
  if (data->slot == 0) data->slot = data->vm->take_slot();
  return Vm::ctx_place(data->slot);
}

int usable_request(Request*& r) {
  r = request();
  if (r == nullptr) return kNoRequest;
  return is_detached(*r) ? kBadContext : kOk;
}

}  // namespace

extern const Group kCtxGroup = {"ctx", kFunctions};

}  // namespace mp::lua

using namespace mp::lua;

extern "C" {

// The place of the running request's ngx.ctx among the tables; 0 when there is no request.
int mp_ctx_place() {
  Request* r = request();
  if (r == nullptr) return 0;
  const RequestData* data = r->find_ctx<RequestData>();
  if (data != nullptr && data->slot != 0) [[likely]]
    return Vm::ctx_place(data->slot);
  return new_ctx_place(*r);
}

// The place of the global variables that it sets.
int mp_ctx_globals_place() {
  if (mp_ctx_place() == 0) return 0;
  const RequestData& data = *request_data(*request());
  data.vm->has_globals = true;
  return Vm::globals_place(data.slot);
}

// As above, but 0 when the request has no tables yet.
int mp_ctx_globals_place_used() {
  Request* r = request();
  if (r == nullptr) return 0;
  const RequestData* data = r->find_ctx<RequestData>();
  return data != nullptr && data->slot != 0 ? Vm::globals_place(data->slot) : 0;
}

int mp_ctx_has_request() {
  return request() != nullptr ? 1 : 0;
}

int mp_ctx_phase() {
  return request() != nullptr ? static_cast<int>(context()) : 0;
}

int mp_ctx_is_subrequest() {
  Request* r;
  if (const int rc = usable_request(r); rc != kOk) return rc;
  return r->is_sub() ? 1 : 0;
}

int mp_ctx_bypass_conditions() {
  Request* r;
  if (const int rc = usable_request(r); rc != kOk) return rc;
  r->no_conditions = true;
  return kOk;
}

int mp_ctx_is_internal() {
  Request* r;
  if (const int rc = usable_request(r); rc != kOk) return rc;
  return r->internal ? 1 : 0;
}

int mp_ctx_headers_sent() {
  Request* r;
  if (const int rc = usable_request(r); rc != kOk) return rc;
  const RequestData* data = r->find_ctx<RequestData>();
  return data != nullptr && headers_sent(*r, *data) ? 1 : 0;
}

int mp_ctx_status() {
  Request* r;
  if (const int rc = usable_request(r); rc != kOk) return rc;
  if (r->error_status != 0) return r->error_status;
  if (r->out.status != 0) return r->out.status;
  return r->version == mp::http::Version::http09 ? 9 : 0;
}

int mp_ctx_set_status(int status, const char* reason, std::size_t size) {
  Request* r;
  if (const int rc = usable_request(r); rc != kOk) return rc;
  const RequestData* data = r->find_ctx<RequestData>();
  if (data != nullptr && headers_sent(*r, *data)) {
    mp::log::error(r->logger, "attempt to set ngx.status after sending out response headers");
    return kDeclined;
  }
  if (status < 100 || status > 999) {
    mp::log::error(r->logger, "invalid HTTP status code {}", status);
    return kDeclined;
  }
  r->out.status = status;
  r->error_status = 0;
  r->out.status_line = {};
  if (status == 101) r->out.status_line = "101 Switching Protocols";
  if (size != 0) r->out.status_line = r->arena.concat(std::to_string(status), " ", view(reason, size));
  return kOk;
}
}
