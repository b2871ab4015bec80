// init_by_lua, init_worker_by_lua and exit_worker_by_lua.
#include <csignal>

#include <fmt/core.h>

#include "conf/process_conf.hpp"
#include "http/core_conf.hpp"
#include "lua/conf.hpp"
#include "lua/hooks/fresh_vm.hpp"
#include "lua/hooks/hooks.hpp"
#include "lua/hooks/signal_conf.hpp"
#include "lua/log_capture.hpp"
#include "lua/lua.hpp"
#include "lua/runtime.hpp"
#include "lua/sched/detached.hpp"
#include "lua/sched/light_thread.hpp"
#include "lua/worker_info.hpp"

namespace mp::lua {

namespace {

LuaMain* lua_main(conf::Configuration& configuration) {
  conf::ConfSet* set = configuration.root()[Level::main];
  return set != nullptr ? &set->get<LuaMain>() : nullptr;
}

// These hooks name the chunk kind in their errors: `init_by_lua error: ...`.
std::string hook_name(const Chunk& chunk, std::string_view name) {
  return chunk.is_file() ? std::string(name) + "_file" : std::string(name);
}

// The message of a failed run or load; empty when all went well.
std::string run_plain(Run& run, const Chunk& chunk) {
  if (run.vm.push_chunk(run.entry(), chunk, chunk.file) != LoadResult::loaded)
    return Vm::pop_error(run.entry());
  if (run.go_quietly(0) != Run::End::failed) return {};
  std::string error = run.error();
  return error.empty() ? "unknown error" : error;
}

// What the log lines of init_worker_by_lua end with.
class HookSubject final : public log::Subject {
 public:
  explicit HookSubject(std::string_view hook) : hook_(hook) {}
  void describe(std::string& out) const override { out.append(", context: ").append(hook_).append("*"); }
  std::uint64_t connection_id() const override { return 0; }

 private:
  std::string_view hook_;
};

void run_in_worker(LuaMain& main, const Chunk& chunk, Context context, std::string_view name) {
  Detached detached(main.detached);
  const HookSubject subject(name);
  if (context == kInitWorker) detached.request().logger.subject = &subject;
  const log::Logger logger = detached.request().logger;
  std::string error;
  {
    const RunScope run(*main.vm, &detached.request(), context);
    error = run_plain(*run, chunk);
  }
  if (!error.empty()) log::error(logger, "{} error: {}", hook_name(chunk, name), error);
  lua_gc(main.vm->state(), LUA_GCCOLLECT, 0);
}

}  // namespace

Result<std::unique_ptr<Vm>> fresh_vm(const LuaMain& main) {
  auto vm = Vm::create(main.vm_options);
  if (!vm) return fail("failed to initialize Lua VM: " + vm.error().text);
  if (main.init == nullptr) return vm;
  std::string error;
  {
    const RunScope run(**vm, nullptr, kInit);
    error = run_plain(*run, *main.init);
  }
  if (!error.empty()) return fail(fmt::format("{} error: {}", hook_name(*main.init, "init_by_lua"), error));
  lua_gc((*vm)->state(), LUA_GCCOLLECT, 0);
  return vm;
}

Status start(conf::Configuration& configuration, const log::Logger& logger) {
  LuaMain* main = lua_main(configuration);
  if (main == nullptr) return {};
  for (const std::string& place : main->uncached_places) {
    log::alert(logger, "lua_code_cache is off; this will hurt performance in {}", place);
  }
  if (!main->wanted) return {};
  const auto& process = configuration.root().get<conf::ProcessConf>();
  worker_info().count = process.worker_processes;
  worker_info().kind = process.master_process ? WorkerInfo::Kind::master : WorkerInfo::Kind::single;
  main->vm_options = {.package_path = main->package_path,
                      .package_cpath = main->package_cpath,
                      .prefix = configuration.options().prefix,
                      .thread_cache = static_cast<std::size_t>(main->thread_cache_max_entries),
                      .isolate_globals = main->isolate_globals,
                      .logger = logger,
                      .configuration = &configuration};
  auto vm = fresh_vm(*main);
  if (!vm) return fail(std::move(vm.error()));
  main->vm = std::move(*vm);
  main->vm->lasting = true;
  return {};
}

namespace {

// From now on a signal ends a system call that waits, also one that a script makes by the C library.
void let_signals_interrupt() {
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action{};
    if (sigaction(number, nullptr, &action) != 0 || (action.sa_flags & SA_RESTART) == 0) continue;
    action.sa_flags &= ~SA_RESTART;
    (void)sigaction(number, &action, nullptr);
  }
}

}  // namespace

void start_worker(conf::Configuration& configuration) {
  LuaMain* main = lua_main(configuration);
  if (main == nullptr || main->vm == nullptr) return;
  if (configuration.root()[Level::main]->get<SignalConf>().interrupts()) let_signals_interrupt();
  // What the master has logged is not this worker's.
  if (const auto& capture = runtime_main(configuration)->capture) capture->clear();
  if (main->init_worker == nullptr) return;
  run_in_worker(*main, *main->init_worker, kInitWorker, "init_worker_by_lua");
}

void stop_worker(conf::Configuration& configuration) {
  LuaMain* main = lua_main(configuration);
  if (main == nullptr || main->vm == nullptr || main->exit_worker == nullptr) return;
  run_in_worker(*main, *main->exit_worker, kExitWorker, "exit_worker_by_lua");
}

}  // namespace mp::lua
