#include "base/shm/slab.hpp"

#include <cstring>
#include <map>
#include <random>
#include <vector>

#include <catch2/catch.hpp>

#include "base/shm/zone.hpp"

using namespace mp;

namespace {

struct Fixture {
  explicit Fixture(std::size_t size) {
    REQUIRE(table.declare("z", size, &table));
    REQUIRE(table.attach(nullptr));
    heap.reset();
  }
  PagePool& pool() { return table.find("z")->pool(); }

  ZoneTable table;
  SlabHeap heap;
};

}  // namespace

TEST_CASE("shm: a zone has as many pages as nginx's", "[base][shm]") {
  CHECK(usable_pages(0) == 0);
  CHECK(usable_pages(8192) == 1);
  CHECK(usable_pages(16 << 10) == 3);
  CHECK(usable_pages(20 << 10) == 4);
  CHECK(usable_pages(25 << 10) == 5);
  CHECK(usable_pages(100 << 10) == 24);
}

TEST_CASE("shm: objects per page", "[base][shm]") {
  CHECK(SlabHeap::objects_per_page(3) == 504);
  CHECK(SlabHeap::objects_per_page(4) == 254);
  CHECK(SlabHeap::objects_per_page(5) == 127);
  CHECK(SlabHeap::objects_per_page(6) == 64);
  CHECK(SlabHeap::objects_per_page(11) == 2);

  Fixture f(16 << 10);
  for (std::size_t size : {1, 8, 9, 16, 17, 32, 64, 65, 128, 1000, 1024, 2048}) {
    CAPTURE(size);
    std::vector<void*> objects;
    while (void* p = f.heap.allocate(f.pool(), size)) {
      std::memset(p, 0xaa, size);
      CHECK(reinterpret_cast<std::uintptr_t>(p) % 8 == 0);
      objects.push_back(p);
    }
    unsigned shift = 3;
    while ((std::size_t{1} << shift) < size) ++shift;
    CHECK(objects.size() == 3 * SlabHeap::objects_per_page(shift));
    for (void* p : objects) f.heap.release(f.pool(), p);
    CHECK(f.pool().free() == 3);
  }
}

TEST_CASE("shm: runs of pages are split and merged", "[base][shm]") {
  Fixture f(25 << 10);
  PagePool& pool = f.pool();
  CHECK(pool.take(6) == PagePool::kNone);
  const auto a = pool.take(1), b = pool.take(1), c = pool.take(3);
  CHECK(pool.free() == 0);
  CHECK(pool.take(1) == PagePool::kNone);
  pool.give(a);
  pool.give(c);
  CHECK(pool.take(4) == PagePool::kNone);  // b is between them
  pool.give(b);
  CHECK(pool.take(5) == 0);
}

TEST_CASE("shm: random allocations never overlap and all memory comes back", "[base][shm]") {
  Fixture f(1 << 20);
  const std::uint32_t all = f.pool().free();
  std::mt19937 random(7);
  std::map<std::byte*, std::size_t> live;
  for (int i = 0; i < 60000; ++i) {
    if (random() % 5 < 3) {
      const std::size_t size = random() % 8 == 0 ? random() % 30000 + 1 : random() % 600 + 1;
      auto* p = static_cast<std::byte*>(f.heap.allocate(f.pool(), size));
      if (p == nullptr) continue;
      auto next = live.lower_bound(p);
      REQUIRE((next == live.end() || p + size <= next->first));
      if (next != live.begin()) {
        auto before = std::prev(next);
        REQUIRE(before->first + before->second <= p);
      }
      std::memset(p, static_cast<int>(size & 0xff), size);
      live[p] = size;
    } else if (!live.empty()) {
      auto it = live.lower_bound(live.begin()->first + random() % (1 << 20));
      if (it == live.end()) it = live.begin();
      REQUIRE(std::to_integer<std::size_t>(it->first[it->second - 1]) == (it->second & 0xff));
      f.heap.release(f.pool(), it->first);
      live.erase(it);
    }
  }
  for (auto& [p, size] : live) f.heap.release(f.pool(), p);
  CHECK(f.pool().free() == all);
  CHECK(f.pool().take(all) == 0);
}
