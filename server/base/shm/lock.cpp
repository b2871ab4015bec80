#include "base/shm/lock.hpp"

#include <cerrno>

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/shm/gone.hpp"

namespace mp {
namespace {

constexpr int kSpins = 200;                  // a few critical sections' worth; then the holder was preempted
constexpr long kLivenessCheck = 20'000'000;  // nanoseconds asleep before asking whether the owner lives

// A constant of the process, refreshed in the child of a fork.
std::atomic<std::uint32_t> cached_pid{0};

void refresh_pid() {
  cached_pid.store(static_cast<std::uint32_t>(getpid()), std::memory_order_relaxed);
}

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

long futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value, const timespec* timeout) {
  return syscall(SYS_futex, &word, operation, value, timeout, nullptr, 0);
}

}  // namespace

std::uint32_t process_id() {
  const std::uint32_t pid = cached_pid.load(std::memory_order_relaxed);
  if (pid != 0) return pid;
  static const int registered = pthread_atfork(nullptr, nullptr, refresh_pid);
  (void)registered;
  refresh_pid();
  return cached_pid.load(std::memory_order_relaxed);
}

bool process_is_gone(std::uint32_t pid) {
  const auto id = static_cast<pid_t>(pid);
  if (kill(id, 0) == -1) return errno == ESRCH;
  siginfo_t ended{};  // of a child of ours
  return waitid(P_PID, static_cast<id_t>(id), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == id;
}

ShmLock::Found ShmLock::wait() {
  const std::uint32_t me = process_id();
  for (int i = 0; i < kSpins; ++i) {
    relax();
    if (word_.load(std::memory_order_relaxed) != 0) continue;
    std::uint32_t free = 0;
    if (word_.compare_exchange_weak(free, me, std::memory_order_acquire, std::memory_order_relaxed)) {
      return Found::clean;
    }
  }
  // From here on the word carries kWaiters, also when we get it: others may sleep behind us.
  bool slept_in_vain = false;
  for (;;) {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    if (seen == 0) {
      if (word_.compare_exchange_weak(seen, me | kWaiters, std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
        return Found::clean;
      }
      continue;
    }
    if (slept_in_vain && process_is_gone(seen & ~kWaiters)) {
      if (word_.compare_exchange_strong(seen, me | kWaiters, std::memory_order_acquire,
                                        std::memory_order_relaxed)) {
        return changing_.load(std::memory_order_relaxed) != 0 ? Found::torn : Found::clean;
      }
      continue;
    }
    if ((seen & kWaiters) == 0 &&
        !word_.compare_exchange_weak(seen, seen | kWaiters, std::memory_order_relaxed)) {
      continue;
    }
    const timespec timeout{0, kLivenessCheck};
    const long rc = futex(word_, FUTEX_WAIT, seen | kWaiters, &timeout);
    slept_in_vain = rc == -1 && errno == ETIMEDOUT;
  }
}

void ShmLock::wake() {
  futex(word_, FUTEX_WAKE, 1, nullptr);
}

}  // namespace mp
