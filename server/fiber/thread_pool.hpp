// ThreadPool: threads of the operating system for work that would hold up the worker (a script's own blocking
// code). Owned by the worker that posts to it; fibers wait for their jobs, the worker goes on meanwhile.
#pragma once

#include <cstddef>
#include <memory>

#include "fiber/fiber.hpp"

namespace mp::fiber {

class ThreadPool {
 public:
  struct Limits {
    unsigned threads = 32;
    std::size_t queue = 65536;  // jobs that no thread has begun
  };

  // A piece of work. Shared between the fiber that waits, if it still does, and the thread that runs it: the
  // last one destroys it.
  class Job {
   public:
    virtual ~Job() = default;
    // On a thread: must not touch fibers nor anything the worker may change meanwhile.
    virtual void run() = 0;
    // Back on the worker, outside of any fiber, before the waiting fiber goes on. Not called when the pool is
    // gone by then.
    virtual void ended() {}

   private:
    friend class ThreadPool;
    Ticket waiter_;
    bool ended_ = false;
  };

  explicit ThreadPool(Limits limits);
  // Threads that are busy finish their job and end by themselves; what was queued is dropped.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Hands a job over; false when the queue is full or no thread can be had.
  bool post(std::shared_ptr<Job> job);
  // Waits for a job that was posted. Throws Cancelled; the job goes on without anybody waiting for it.
  static void wait(Job& job);

 private:
  struct State;
  class Arrivals;

  std::shared_ptr<State> state_;  // the threads hold it too
  std::unique_ptr<Arrivals> arrivals_;
};

// Whether the caller runs on a thread of some pool.
bool on_pool_thread();

}  // namespace mp::fiber
