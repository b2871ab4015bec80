#include "fiber/thread_pool.hpp"

#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "fiber/scheduler.hpp"

namespace mp::fiber {
namespace {

thread_local bool pool_thread = false;

// Signals are the worker's own: its loop must see them, not a thread that knows nothing of them.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

struct ThreadPool::State {
  explicit State(Limits wanted) : limits(wanted) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (event >= 0) close(event);
  }

  const Limits limits;
  const int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);  // readable when a job has ended
  std::mutex mutex;
  std::condition_variable work;
  std::deque<std::shared_ptr<Job>> queue;
  std::vector<std::shared_ptr<Job>> done;
  unsigned threads = 0;
  unsigned idle = 0;
  bool stopping = false;

  void serve();
};

void ThreadPool::State::serve() {
  pool_thread = true;
  std::unique_lock lock(mutex);
  for (;;) {
    ++idle;
    work.wait(lock, [this] { return stopping || !queue.empty(); });
    --idle;
    if (stopping) return;
    std::shared_ptr<Job> job = std::move(queue.front());
    queue.pop_front();
    lock.unlock();
    clock().update();
    job->run();
    lock.lock();
    done.push_back(std::move(job));
    const std::uint64_t one = 1;
    (void)!write(event, &one, sizeof one);
  }
}

// The worker's end: learns of jobs that have ended.
class ThreadPool::Arrivals final : public Watch {
 public:
  explicit Arrivals(State& state) : state_(state) {}

 protected:
  void on_ready() override {
    std::uint64_t count = 0;
    (void)!read(state_.event, &count, sizeof count);
    readable = false;
    std::vector<std::shared_ptr<Job>> done;
    {
      const std::lock_guard lock(state_.mutex);
      done.swap(state_.done);
    }
    for (const std::shared_ptr<Job>& job : done) {
      job->ended_ = true;
      job->ended();
      wake(std::exchange(job->waiter_, {}));
    }
  }

 private:
  State& state_;
};

ThreadPool::ThreadPool(Limits limits)
    : state_(std::make_shared<State>(limits)), arrivals_(std::make_unique<Arrivals>(*state_)) {
  if (!arrivals_->add(state_->event, EPOLLIN | EPOLLET)) arrivals_.reset();
}

ThreadPool::~ThreadPool() {
  std::deque<std::shared_ptr<Job>> dropped;  // their destructors run without the lock
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    dropped.swap(state_->queue);
  }
  state_->work.notify_all();
}

bool ThreadPool::post(std::shared_ptr<Job> job) {
  if (arrivals_ == nullptr) return false;
  State& s = *state_;
  const std::lock_guard lock(s.mutex);
  if (s.queue.size() >= s.limits.queue) return false;
  if (s.idle <= s.queue.size() && s.threads < s.limits.threads) {
    try {
      const BlockedSignals blocked;
      std::thread([state = state_] { state->serve(); }).detach();
      ++s.threads;
    } catch (const std::system_error&) {
      if (s.threads == 0) return false;  // else one of the others will come to it
    }
  }
  s.queue.push_back(std::move(job));
  s.work.notify_one();
  return true;
}

void ThreadPool::wait(Job& job) {
  while (!job.ended_) {
    job.waiter_ = ticket();
    fiber::wait();
  }
}

bool on_pool_thread() {
  return pool_thread;
}

}  // namespace mp::fiber
