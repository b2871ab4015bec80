// ngx.run_worker_thread: Lua code that blocks, on a thread of the operating system and in a VM of its own.
#include "lua/api.hpp"
#include "lua/conf.hpp"
#include "lua/runtime.hpp"
#include "lua/sched/worker_threads.hpp"

namespace mp::lua {
namespace {

WorkerThreads& threads_of(const Request& r) {
  auto& main = r.conf<RuntimeMain>();
  if (!main.worker_threads) {
    main.worker_threads = std::make_shared<WorkerThreads>(
        r.conf<LuaMain>().vm_options.configuration->root().get<conf::ProcessConf>(),
        r.conf<LuaMain>().vm_options, main.worker_thread_vm_pool_size);
  }
  return *main.worker_threads;
}

int refuse(lua_State* L, const char* why) {
  lua_pushboolean(L, 0);
  lua_pushstring(L, why);
  return 2;
}

// Packs the arguments of the call; what is wrong with one of them, or null.
const char* pack_arguments(lua_State* L, ThreadCall& call) {
  const int count = lua_gettop(L);
  for (int i = 4; i <= count; ++i) {
    if (const char* wrong = call.arguments.pack(L, i)) return wrong;
  }
  return nullptr;
}

// run(pool, module, function, ...): true and the results, or false and why not.
int run(lua_State* L) {
  const Request& r = check_request(L, kWaiting);
  if (lua_gettop(L) < 3) return refuse(L, "expecting at least 3 arguments");
  const char* pool_name = lua_tostring(L, 1);
  if (pool_name == nullptr) return refuse(L, "threadpool should be a string");
  WorkerThreads& threads = threads_of(r);
  fiber::ThreadPool* pool = threads.pool(pool_name);
  if (pool == nullptr) return refuse(L, lua_pushfstring(L, "thread pool %s not found", pool_name));
  if (lua_isstring(L, 2) == 0) return refuse(L, "module name should be a string");
  if (lua_isstring(L, 3) == 0) return refuse(L, "function name should be a string");

  std::unique_ptr<Vm> vm;
  if (!threads.vms()->take(vm)) return refuse(L, "no available Lua vm");
  Vm::Paths paths = vm == nullptr ? Vm::of(L).paths() : Vm::Paths{};
  const auto call = std::make_shared<ThreadCall>(threads.vms(), std::move(vm), std::move(paths));
  call->module = text_at(L, 2);
  call->function = text_at(L, 3);
  if (const char* wrong = pack_arguments(L, *call)) {
    return refuse(L, lua_pushfstring(L, "%s in the argument", wrong));
  }
  if (!pool->post(call)) return refuse(L, "ngx_thread_task_post failed");
  fiber::ThreadPool::wait(*call);
  if (!call->error.empty()) {
    lua_pushboolean(L, 0);
    push(L, call->error);
    return 2;
  }
  lua_pushboolean(L, 1);
  return 1 + call->results.unpack(L);
}

constexpr luaL_Reg kFunctions[] = {{"run", waits<run>}};

}  // namespace

extern const Group kWorkerThreadGroup = {"worker_thread", kFunctions};

}  // namespace mp::lua
