// BeforePark: what the running fiber has put off until somebody else may run: called once, before a fiber of
// this thread parks or yields, whichever does so first. For a connection that is mostly answered and closed
// without a wait, and is then never registered for events: Watch::add() takes its descriptor for no events
// first, and the same one for events when it comes to that.
#pragma once

namespace mp::fiber {

struct BeforePark {
  void (*run)(void* argument) = nullptr;  // must not park
  void* argument = nullptr;
};

// Whoever sets it clears it when its object goes.
extern constinit thread_local BeforePark before_park;

}  // namespace mp::fiber
