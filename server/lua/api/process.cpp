// ngx.process: what the process is, and its end.
#include <csignal>

#include <unistd.h>

#include "conf/configuration.hpp"
#include "conf/process_conf.hpp"
#include "lua/api.hpp"
#include "lua/worker_info.hpp"

namespace mp::lua {
namespace {

// enable_privileged_agent(): the master starts one beside the workers.
int enable_privileged_agent(lua_State* L) {
  Vm::of(L).configuration()->root().get<conf::ProcessWide>().privileged_agent = true;
  return 0;
}

constexpr luaL_Reg kFunctions[] = {{"enable_privileged_agent", enable_privileged_agent}};

}  // namespace

extern const Group kProcessGroup = {"process", kFunctions};

}  // namespace mp::lua

extern "C" {

int mp_process_kind() {
  return static_cast<int>(mp::lua::worker_info().kind);
}

int mp_process_master_pid() {
  const pid_t master = mp::lua::worker_info().master;
  return static_cast<int>(master != 0 ? master : getpid());
}

// As if somebody had sent the signal: what runs is finished first.
void mp_process_quit() {
  kill(getpid(), SIGQUIT);
}
}
