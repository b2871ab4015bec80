#include "base/shm/lock.hpp"

#include <vector>

#include <catch2/catch.hpp>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/shm/zone.hpp"

using namespace mp;

namespace {

struct Shared {
  ShmLock lock;
  std::atomic<int> entered;
  long counter;
};

struct Page {
  std::shared_ptr<SharedMapping> memory = *SharedMapping::make(4096);
  Shared* operator->() { return reinterpret_cast<Shared*>(memory->data()); }
};

// A child that runs `body` and exits, or dies by a signal on the way.
template <class Body>
pid_t spawn(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(0);
  }
  return child;
}

// A dead child that held the lock.
void die_inside(Page& page, bool changing) {
  const pid_t child = spawn([&] {
    page->lock.lock();
    if (changing) page->lock.begin_change();
    kill(getpid(), SIGKILL);
  });
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
}

}  // namespace

TEST_CASE("shm: the cached process id is the child's own", "[base][shm]") {
  CHECK(process_id() == static_cast<std::uint32_t>(getpid()));
  const pid_t child = spawn([] { _exit(process_id() == static_cast<std::uint32_t>(getpid()) ? 0 : 1); });
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

TEST_CASE("shm: a lock excludes other processes", "[base][shm]") {
  Page page;
  constexpr int kRounds = 30000;
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    children.push_back(spawn([&] {
      for (int round = 0; round < kRounds; ++round) {
        page->lock.lock();
        ++page->counter;
        page->lock.unlock();
      }
    }));
  }
  for (pid_t child : children) waitpid(child, nullptr, 0);
  CHECK(page->counter == 4L * kRounds);
}

TEST_CASE("shm: the lock of a dead process is taken over", "[base][shm]") {
  Page page;
  die_inside(page, false);
  CHECK(page->lock.lock() == ShmLock::Found::clean);
  page->lock.unlock();

  die_inside(page, true);
  CHECK(page->lock.lock() == ShmLock::Found::torn);
  page->lock.unlock();
  CHECK(page->lock.lock() == ShmLock::Found::clean);
  page->lock.unlock();
}

TEST_CASE("shm: several waiters survive the death of the owner", "[base][shm]") {
  Page page;
  die_inside(page, true);
  std::vector<pid_t> children;
  for (int i = 0; i < 3; ++i) {
    children.push_back(spawn([&] {
      if (page->lock.lock() == ShmLock::Found::torn) page->entered.fetch_add(100);
      page->entered.fetch_add(1);
      page->lock.unlock();
    }));
  }
  for (pid_t child : children) waitpid(child, nullptr, 0);
  CHECK(page->entered.load() == 103);  // all got in, exactly one was told
}
