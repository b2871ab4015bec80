// lua_sa_restart: whether the system restarts what a signal has interrupted in a script's blocking call.
#pragma once

#include "conf/setting.hpp"

namespace mp::lua {

struct SignalConf {
  static constexpr conf::Level kLevel = conf::Level::main;
  conf::Setting<bool> restart;  // on

  bool interrupts() const { return restart.is_set() && !restart.get(); }
};

}  // namespace mp::lua
