// Whether a server takes CONNECT requests: those that have somewhere to pass them on to.
#pragma once

#include "conf/module.hpp"

namespace mp::http {

struct ConnectConf {
  static constexpr conf::Level kLevel = conf::Level::server;
  bool allowed = false;
};

}  // namespace mp::http
