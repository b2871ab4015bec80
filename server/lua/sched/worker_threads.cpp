#include "lua/sched/worker_threads.hpp"

#include <utility>

namespace mp::lua {

// ---- ThreadVms

bool ThreadVms::take(std::unique_ptr<Vm>& vm) {
  const std::lock_guard lock(mutex_);
  if (in_use_ >= most_) return false;
  ++in_use_;
  if (!spare_.empty()) {
    vm = std::move(spare_.back());
    spare_.pop_back();
  }
  return true;
}

void ThreadVms::give_back(std::unique_ptr<Vm> vm) {
  const std::lock_guard lock(mutex_);
  --in_use_;
  if (vm != nullptr) spare_.push_back(std::move(vm));
}

// ---- WorkerThreads

WorkerThreads::WorkerThreads(const conf::ProcessConf& process, const Vm::Options& options, int most_vms)
    : process_(process) {
  Vm::Options own = options;
  own.init = "moonphase.thread";
  own.isolate_globals = false;
  vms_ = std::make_shared<ThreadVms>(own, most_vms);
}

fiber::ThreadPool* WorkerThreads::pool(std::string_view name) {
  if (const auto found = pools_.find(name); found != pools_.end()) return &found->second;
  for (const auto& line : process_.thread_pools) {
    if (line.name != name) continue;
    return &pools_.try_emplace(std::string(name), fiber::ThreadPool::Limits{line.threads, line.max_queue})
                .first->second;
  }
  return nullptr;
}

// ---- ThreadCall

ThreadCall::~ThreadCall() {
  give_back_vm();
}

void ThreadCall::give_back_vm() {
  if (std::exchange(holds_, false)) vms_->give_back(std::move(vm_));
}

bool ThreadCall::make_vm() {
  auto made = Vm::create(vms_->options());
  if (!made) {
    error = "failed to initialize Lua VM: " + made.error().text;
    return false;
  }
  vm_ = std::move(*made);
  vm_->set_paths(paths_);
  return true;
}

// call(this): leaves the results of the module's function.
int ThreadCall::call(lua_State* L) {
  auto& self = *static_cast<ThreadCall*>(lua_touserdata(L, 1));
  lua_settop(L, 0);
  lua_getglobal(L, "require");
  lua_pushlstring(L, self.module.data(), self.module.size());
  lua_call(L, 1, 1);
  if (!lua_istable(L, -1)) {
    lua_pushliteral(L, "invalid lua module");
    return lua_error(L);
  }
  lua_getfield(L, -1, self.function.c_str());
  if (!lua_isfunction(L, -1)) {
    lua_pushliteral(L, "invalid function");
    return lua_error(L);
  }
  lua_remove(L, 1);
  lua_call(L, self.arguments.unpack(L), LUA_MULTRET);
  return lua_gettop(L);
}

void ThreadCall::run() {
  if (vm_ != nullptr || make_vm()) run_in_vm();
  give_back_vm();
}

void ThreadCall::run_in_vm() {
  lua_State* L = vm_->state();
  const int bottom = lua_gettop(L);
  lua_pushcfunction(L, call);
  lua_pushlightuserdata(L, this);
  if (lua_pcall(L, 1, LUA_MULTRET, 0) != 0) {
    error = Vm::pop_error(L);
    if (error.empty()) error = "unknown reason";
  } else {
    const int count = lua_gettop(L);
    for (int i = bottom + 1; i <= count && error.empty(); ++i) {
      if (const char* wrong = results.pack(L, i)) error = std::string(wrong) + " in the return value";
    }
  }
  lua_settop(L, bottom);
  lua_gc(L, LUA_GCCOLLECT, 0);
}

}  // namespace mp::lua
