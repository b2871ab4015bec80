// Work that would hold up the worker (slow password hashes) runs on a thread of its own while the fiber
// waits.
#pragma once

#include <functional>

namespace mp::fiber {

// Runs `work` on another thread and returns when it has ended. `work` must not touch fibers nor anything the
// worker may change meanwhile. Cancellation takes effect after it. At most kMaxBlocking run at a time; more
// wait their turn.
inline constexpr int kMaxBlocking = 8;
void run_blocking(const std::function<void()>& work);
int blocking();  // how many of them have not ended

}  // namespace mp::fiber
