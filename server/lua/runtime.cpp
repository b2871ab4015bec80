#include "lua/runtime.hpp"

#include "conf/setters.hpp"
#include "lua/log_capture.hpp"
#include "lua/lua.hpp"
#include "lua/pipe/process.hpp"
#include "lua/sched/timers.hpp"
#include "lua/sched/worker_threads.hpp"
#include "lua/socket/pool.hpp"

namespace mp::lua {

namespace {

using conf::Directive;
using conf::Scope;

constexpr Directive kDirectives[] = {
    {.name = "lua_max_pending_timers",
     .where = Scope::http,
     .args = conf::exactly(1),
     .parse = conf::set<&RuntimeMain::max_pending_timers>},
    {.name = "lua_max_running_timers",
     .where = Scope::http,
     .args = conf::exactly(1),
     .parse = conf::set<&RuntimeMain::max_running_timers>},
    {.name = "lua_regex_cache_max_entries",
     .where = Scope::http,
     .args = conf::exactly(1),
     .parse = conf::set<&RuntimeMain::regex_cache_max_entries>},
    {.name = "lua_regex_match_limit",
     .where = Scope::http,
     .args = conf::exactly(1),
     .parse = conf::set<&RuntimeMain::regex_match_limit>},
    {.name = "lua_capture_error_log",
     .where = Scope::http,
     .args = conf::exactly(1),
     .parse = capture_error_log},
    {.name = "lua_worker_thread_vm_pool_size",
     .where = Scope::http,
     .args = conf::exactly(1),
     .parse = conf::set<&RuntimeMain::worker_thread_vm_pool_size>},
    {.name = "lua_socket_connect_timeout",
     .where = conf::kHttpServerLocationIf,
     .args = conf::exactly(1),
     .parse = conf::set<&SocketConf::connect_timeout>},
    {.name = "lua_socket_send_timeout",
     .where = conf::kHttpServerLocationIf,
     .args = conf::exactly(1),
     .parse = conf::set<&SocketConf::send_timeout>},
    {.name = "lua_socket_read_timeout",
     .where = conf::kHttpServerLocationIf,
     .args = conf::exactly(1),
     .parse = conf::set<&SocketConf::read_timeout>},
    {.name = "lua_socket_keepalive_timeout",
     .where = conf::kHttpServerLocationIf,
     .args = conf::exactly(1),
     .parse = conf::set<&SocketConf::keepalive_timeout>},
    {.name = "lua_socket_send_lowat",
     .where = conf::kHttpServerLocationIf,
     .args = conf::exactly(1),
     .parse = conf::set<&SocketConf::send_lowat>},
    {.name = "lua_socket_buffer_size",
     .where = conf::kHttpServerLocationIf,
     .args = conf::exactly(1),
     .parse = conf::set<&SocketConf::buffer_size>},
    {.name = "lua_socket_pool_size",
     .where = conf::kHttpServerLocationIf,
     .args = conf::exactly(1),
     .parse = conf::set<&SocketConf::pool_size>},
    {.name = "lua_socket_log_errors",
     .where = conf::kHttpServerLocationIf,
     .args = conf::flag(),
     .parse = conf::set<&SocketConf::log_errors>},
};

constexpr conf::ConfType kConfs[] = {conf::conf_type<RuntimeMain>(), conf::conf_type<SocketConf>()};

}  // namespace

Status SocketConf::merge(conf::Context&, const SocketConf& parent) {
  connect_timeout.inherit(parent.connect_timeout, 60000);
  send_timeout.inherit(parent.send_timeout, 60000);
  read_timeout.inherit(parent.read_timeout, 60000);
  keepalive_timeout.inherit(parent.keepalive_timeout, 60000);
  send_lowat.inherit(parent.send_lowat, 0);
  buffer_size.inherit(parent.buffer_size, 4096);
  pool_size.inherit(parent.pool_size, 30);
  log_errors.inherit(parent.log_errors, true);
  return {};
}

RuntimeMain* runtime_main(conf::Configuration& configuration) {
  conf::ConfSet* set = configuration.root()[conf::Level::main];
  return set != nullptr ? &set->get<RuntimeMain>() : nullptr;
}

void begin_shutdown(conf::Configuration& configuration) {
  RuntimeMain* main = runtime_main(configuration);
  if (main == nullptr) return;
  if (main->timers) main->timers->begin_shutdown();
  if (main->pools) main->pools->begin_shutdown();
}

bool drained(conf::Configuration& configuration) {
  const RuntimeMain* main = runtime_main(configuration);
  return main == nullptr || !main->timers || main->timers->idle();
}

void abort_timers(conf::Configuration& configuration) {
  const RuntimeMain* main = runtime_main(configuration);
  if (main != nullptr && main->timers) main->timers->cancel_all();
}

void release_worker_state(conf::Configuration& configuration) {
  RuntimeMain* main = runtime_main(configuration);
  if (main == nullptr) return;
  main->timers.reset();
  main->pools.reset();
  main->worker_threads.reset();
  main->pipe_processes.reset();
}

extern const conf::Module kLuaRuntimeModule = {
    .name = "lua_runtime", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::lua
