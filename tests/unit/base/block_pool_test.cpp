#include "base/block_pool.hpp"

#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "base/arena.hpp"

namespace {

using mp::BlockPool;

constinit thread_local BlockPool pool(256);

void use(std::size_t count) {
  std::vector<void*> taken;
  for (std::size_t i = 0; i < count; ++i) taken.push_back(pool.take());
  for (void* block : taken) pool.give_back(block);
}

}  // namespace

TEST_CASE("A block pool hands out the block that came back last") {
  void* a = pool.take();
  void* b = pool.take();
  CHECK(a != b);
  pool.give_back(a);
  pool.give_back(b);
  CHECK(pool.take() == b);
  CHECK(pool.take() == a);
  pool.give_back(a);
  pool.give_back(b);
}

TEST_CASE("A block pool keeps what is needed and gives back what is not") {
  // Each thread has its own pools, and gives everything back at its end.
  std::thread([] {
    use(1000);
    CHECK(BlockPool::trim_wanted());
    BlockPool::trim_all();  // a moment ago all were in use
    use(1000);
    BlockPool::trim_all();
    CHECK(BlockPool::trim_wanted());
    for (int i = 0; i < 3 && BlockPool::trim_wanted(); ++i) BlockPool::trim_all();
    CHECK_FALSE(BlockPool::trim_wanted());
    use(200);
    CHECK(BlockPool::trim_wanted());
  }).join();
}

TEST_CASE("An arena grows by blocks, and large objects leave the block in use alone") {
  mp::Arena arena;
  char* first = arena.bytes(100);
  char* large = arena.bytes(100000);
  char* next = arena.bytes(100);
  CHECK(next == first + 100);
  large[99999] = 1;
  std::size_t before = arena.used();
  arena.bytes(4000);
  CHECK(arena.used() > before);
  arena.reset();
  CHECK(arena.used() == 0);
  CHECK(arena.bytes(5000) != nullptr);
}
