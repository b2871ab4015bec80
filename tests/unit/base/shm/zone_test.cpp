#include "base/shm/zone.hpp"

#include <catch2/catch.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "base/shm/counters.hpp"

using namespace mp;

namespace {
constexpr char kTag = 0;
constexpr char kOtherTag = 0;
}  // namespace

TEST_CASE("shm: declarations of a zone agree or are refused", "[base][shm]") {
  ZoneTable table;
  Zone* zone = *table.declare("one", 0, &kTag);
  CHECK(*table.declare("one", 65536, &kTag) == zone);
  CHECK(*table.declare("one", 0, &kTag) == zone);
  CHECK(zone->size() == 65536);
  CHECK(table.declare("one", 65537, &kTag).error().text ==
        "the size 65537 of shared memory zone \"one\" conflicts with already declared size 65536");
  CHECK(table.declare("one", 65536, &kOtherTag).error().text ==
        "the shared memory zone \"one\" is already declared for a different use");
  REQUIRE(table.declare("two", 0, &kTag));
  CHECK(table.attach(nullptr).error().text == "zero size shared memory zone \"two\"");
}

TEST_CASE("shm: memory survives a reload that asks for the same zone", "[base][shm]") {
  auto table = std::make_unique<ZoneTable>();
  auto declare = [](ZoneTable& t, std::string_view name, std::size_t size, const Zone** seen) {
    Zone* zone = *t.declare(name, size, &kTag);
    zone->on_attach(64, [seen](Zone& z, const Zone* previous) -> Status {
      *seen = previous;
      if (previous == nullptr) *static_cast<int*>(z.index()) += 40;
      *static_cast<int*>(z.index()) += 1;
      return {};
    });
    return zone;
  };
  const Zone* seen = nullptr;
  Zone* same = declare(*table, "same", 65536, &seen);
  Zone* resized = declare(*table, "resized", 65536, &seen);
  REQUIRE(table->attach(nullptr));
  CHECK(seen == nullptr);
  CHECK(*static_cast<int*>(same->index()) == 41);
  CHECK(same->pool().total() == usable_pages(65536));

  auto next = std::make_unique<ZoneTable>();
  const Zone* seen_same = nullptr;
  const Zone* seen_resized = same;
  Zone* same2 = declare(*next, "same", 65536, &seen_same);
  Zone* resized2 = declare(*next, "resized", 131072, &seen_resized);
  REQUIRE(next->attach(table.get()));
  CHECK(seen_same == same);
  CHECK(same2->base() == same->base());
  CHECK(seen_resized == nullptr);
  CHECK(resized2->base() != resized->base());
  table.reset();  // the old configuration goes; what the new one uses stays
  CHECK(*static_cast<int*>(same2->index()) == 42);
}

TEST_CASE("shm: a failing setup refuses the configuration", "[base][shm]") {
  ZoneTable table;
  (*table.declare("z", 65536, &kTag))->on_attach(0, [](Zone&, const Zone*) -> Status { return fail("no"); });
  CHECK(table.attach(nullptr).error().text == "no");
}

TEST_CASE("shm: counters of several workers add up and outlive them", "[base][shm]") {
  SharedCounters counters = *SharedCounters::make();
  const int a = counters.take();
  const int b = counters.take();
  CHECK(a != b);
  const pid_t child = fork();
  if (child == 0) {
    counters.slot(b).accepted.add(5);
    counters.slot(b).active.add(3);
    _exit(0);
  }
  REQUIRE(waitpid(child, nullptr, 0) == child);
  counters.slot(a).accepted.add(2);
  counters.slot(a).active.add(2);
  counters.slot(a).active.sub();
  CHECK(counters.totals().accepted == 7);
  CHECK(counters.totals().active == 4);
  counters.retire(b);
  CHECK(counters.totals().accepted == 7);
  CHECK(counters.totals().active == 1);
  CHECK(counters.take() == b);
}
