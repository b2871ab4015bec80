// What the kernel says about descriptors, and who is told: the epoll set, or poll() in a scheduler whose
// Options::max_events is 0. There is no epoll set then, and Watched::generation holds the events that a watch
// was added for.
#include <algorithm>
#include <cassert>
#include <utility>

#include <poll.h>
#include <sys/epoll.h>

#include "base/block_pool.hpp"
#include "fiber/scheduler.hpp"

namespace mp::fiber {

// The two ways speak of events in the same bits.
static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLRDHUP == POLLRDHUP && EPOLLHUP == POLLHUP &&
              EPOLLERR == POLLERR);

namespace {

constexpr Msec kTrimInterval = 1000;

// What poll() is to be asked of a watch that was added for `events`. What is known of an edge-triggered one
// already is not asked again, so it is told once, like an edge.
std::uint32_t unknown(const Watch& watch, std::uint32_t events) {
  if (events & EPOLLET) {
    if (watch.readable) events &= ~std::uint32_t{EPOLLIN};
    if (watch.writable) events &= ~std::uint32_t{EPOLLOUT};
    if (watch.hangup) events &= ~std::uint32_t{EPOLLRDHUP};
  }
  return events & (EPOLLIN | EPOLLOUT | EPOLLRDHUP);
}

}  // namespace

bool Watch::add(int fd, std::uint32_t events) {
  assert(fd_ < 0);
  Scheduler& scheduler = *here();
  auto& all = scheduler.watched_;
  if (static_cast<std::size_t>(fd) >= all.size())
    all.resize(std::max<std::size_t>(64, static_cast<std::size_t>(fd) * 3 / 2 + 1));
  auto& entry = all[static_cast<std::size_t>(fd)];
  epoll_event e{};
  e.events = events;
  e.data.u64 = std::uint64_t{entry.generation} << 32 | static_cast<std::uint32_t>(fd);
  if (scheduler.epoll_ < 0) {
    entry.generation = events;
  } else if (epoll_ctl(scheduler.epoll_, EPOLL_CTL_ADD, fd, &e) != 0) {
    return false;
  }
  entry.watch = this;
  fd_ = fd;
  readable = writable = hangup = false;
  return true;
}

void Watch::remove() {
  if (fd_ < 0) return;
  const Scheduler& scheduler = *here();
  if (scheduler.epoll_ >= 0) epoll_ctl(scheduler.epoll_, EPOLL_CTL_DEL, fd_, nullptr);
  forget();
}

void Watch::forget() {
  if (fd_ < 0) return;
  auto& entry = here()->watched_[static_cast<std::size_t>(fd_)];
  entry.watch = nullptr;
  ++entry.generation;
  fd_ = -1;
  // A fiber that still waits here is told, and finds the descriptor gone.
  wake(std::exchange(reader, {}));
  wake(std::exchange(writer, {}));
}

namespace {

[[gnu::noinline]] bool wake_once(Ticket& ticket) {
  return wake(std::exchange(ticket, {}));
}

}  // namespace

inline void Watch::deliver(std::uint32_t what) {
  if (what & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) [[unlikely]]
    hangup = true;
  if (what & (EPOLLOUT | EPOLLHUP | EPOLLERR)) {
    writable = true;
    if (writer) wake_once(writer);
  }
  if (what & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
    readable = true;
    if (!reader || !wake_once(reader)) on_ready();
  }
}

void Scheduler::poll(Msec limit) {
  if (on_pass_end != nullptr) on_pass_end();
  Msec wait = ready_.empty() ? timers_.until_next(now_) : 0;
  if (limit < wait) wait = limit;
  if (now_ >= next_trim_) [[unlikely]]
    trim_pools();
  const bool trim_again = stacks_.trim_wanted() || BlockPool::trim_wanted();
  if (trim_again && next_trim_ - now_ < wait) wait = next_trim_ - now_;
  constexpr Msec kLongest = 60 * 60 * 1000;
  const int timeout = wait == kNever ? -1 : static_cast<int>(wait < kLongest ? wait : kLongest);
  if (epoll_ < 0) [[unlikely]]
    return poll_without_epoll(timeout);
  const int n = epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), timeout);
  refresh_clock();
  for (int i = 0; i < n; ++i) {
    const Watched& watched = watched_[events_[i].data.u64 & 0xffffffff];
    if (watched.watch == nullptr || watched.generation != events_[i].data.u64 >> 32) continue;
    watched.watch->deliver(events_[i].events);
  }
}

void Scheduler::trim_pools() {
  next_trim_ = now_ + kTrimInterval;
  stacks_.trim();
  BlockPool::trim_all();
}

void Scheduler::poll_without_epoll(int timeout) {
  std::vector<pollfd> asked;
  for (std::size_t fd = 0; fd < watched_.size(); ++fd) {
    const Watch* const watch = watched_[fd].watch;
    if (watch == nullptr) continue;
    const std::uint32_t events = unknown(*watch, watched_[fd].generation);
    if (events != 0) asked.push_back({static_cast<int>(fd), static_cast<short>(events), 0});
  }
  const int n = ::poll(asked.data(), asked.size(), timeout);
  refresh_clock();
  if (n <= 0) return;
  for (const pollfd& answer : asked) {
    Watch* const watch = watched_[static_cast<std::size_t>(answer.fd)].watch;
    if (answer.revents != 0 && watch != nullptr) watch->deliver(static_cast<std::uint16_t>(answer.revents));
  }
}

}  // namespace mp::fiber
