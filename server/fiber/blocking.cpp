#include "fiber/blocking.hpp"

#include <atomic>
#include <csignal>
#include <system_error>
#include <thread>

#include <sys/eventfd.h>
#include <unistd.h>

#include "fiber/scheduler.hpp"

namespace mp::fiber {
namespace {

// How many threads this worker has out, and who waits for one of them to end.
struct Turnstile {
  int inside = 0;
  Event left;
};
Turnstile& turnstile() {
  static Turnstile one;
  return one;
}

class Pass {
 public:
  Pass() {
    while (turnstile().inside >= kMaxBlocking) turnstile().left.wait();
    ++turnstile().inside;
  }
  ~Pass() {
    --turnstile().inside;
    turnstile().left.notify_all();
  }
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;
};

struct EventFd {
  int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  EventFd() = default;
  EventFd(const EventFd&) = delete;
  ~EventFd() {
    if (fd >= 0) close(fd);
  }
};

// Signals are the worker's own: its loop must see them, not a thread that knows nothing of them.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

std::thread start_thread(const std::function<void()>& body) {
  const BlockedSignals blocked;
  return std::thread(body);
}

}  // namespace

void run_blocking(const std::function<void()>& work) {
  const Pass pass;
  EventFd event;
  Watch watch;
  if (event.fd < 0 || !watch.add(event.fd, EPOLLIN | EPOLLET)) return work();
  std::atomic<bool> done = false;
  std::thread thread;
  try {
    thread = start_thread([&] {
      work();
      done.store(true, std::memory_order_release);
      const std::uint64_t one = 1;
      (void)!write(event.fd, &one, sizeof one);
    });
  } catch (const std::system_error&) {
    return work();  // no thread to be had: better late than not at all
  }
  {
    const CancelShield shield;
    while (!done.load(std::memory_order_acquire)) {
      watch.readable = false;
      watch.reader = ticket();
      if (done.load(std::memory_order_acquire)) break;
      park();
    }
  }
  watch.reader = {};
  thread.join();
}

int blocking() {
  return turnstile().inside;
}

}  // namespace mp::fiber
