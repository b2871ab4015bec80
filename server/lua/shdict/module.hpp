// lua_shared_dict and where its dictionaries are kept.
#pragma once

#include "conf/module.hpp"
#include "lua/shdict/set.hpp"

namespace mp::lua {

struct ShdictConf {
  static constexpr conf::Level kLevel = conf::Level::main;

  ShdictSet dicts;  // usable once the zones are attached; lua/moonphase/api/shdict.lua takes its address
};

extern const conf::Module kShdictModule;

}  // namespace mp::lua
