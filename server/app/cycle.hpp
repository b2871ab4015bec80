// Cycle: one configuration in use, from the command line's wish to log files, shared memory and sockets that
// are ready for workers. The master holds one; a reload makes the next beside it and then lets the old one
// go.
#pragma once

#include <memory>

#include "app/listeners.hpp"
#include "app/options.hpp"
#include "base/log.hpp"
#include "conf/configuration.hpp"
#include "conf/process_conf.hpp"

namespace mp::app {

class Cycle {
 public:
  Cycle(const Options& options, const conf::Configuration* previous);

  conf::Configuration& configuration() { return configuration_; }
  conf::ProcessConf& process() { return configuration_.root().get<conf::ProcessConf>(); }
  conf::ProcessWide& wide() { return configuration_.root().get<conf::ProcessWide>(); }
  log::Logger logger() { return wide().logger(); }
  // How many workers there are; with master_process off the process itself is the only one.
  unsigned workers();

 private:
  conf::Configuration configuration_;
};

enum class Purpose : unsigned char { serve, test, signal };

struct CycleInput {
  const Options& options;
  Purpose purpose = Purpose::serve;
  log::Logger logger;         // for what happens before the new configuration's own log is open
  Cycle* previous = nullptr;  // on reload
  bool starting = true;       // messages also go to stderr
};

// Reads the configuration and makes everything ready: with Purpose::signal the configuration only, with
// Purpose::test without lasting effects. Null when it is refused; the reasons were logged, and neither
// `previous` nor `listeners` has changed.
std::unique_ptr<Cycle> make_cycle(const CycleInput& input, Listeners& listeners);

// Lets stderr go where the main error log goes, unless the log goes to stderr.
void redirect_stderr(Cycle& cycle);

}  // namespace mp::app
