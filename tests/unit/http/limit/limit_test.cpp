#include <optional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "http/limit/limit_conn.hpp"
#include "http/limit/limit_req.hpp"

using namespace mp;
using namespace mp::http;

namespace {

using Verdict = LimitReqZone::Verdict;
using Kind = LimitReqDecision::Kind;

constexpr char kTag = 0;

template <class Store>
struct InZone {
  template <class... Args>
  explicit InZone(std::size_t size, Args... args) {
    zone = *zones.declare("one", size, &kTag);
    zone->on_attach(Store::index_bytes(size), nullptr);
    REQUIRE(zones.attach(nullptr));
    store.emplace(*zone, true, args...);
  }
  Store* operator->() { return &*store; }

  ZoneTable zones;
  Zone* zone = nullptr;
  std::optional<Store> store;
};

struct LimitReq : InZone<LimitReqZone> {
  explicit LimitReq(std::uint64_t rate, std::size_t size = 1 << 20) : InZone(size, rate) {}
  std::int64_t ok(std::string_view key, std::uint64_t burst = 1'000'000) {
    const auto answer = store->lookup(key, now, burst, true);
    CHECK(answer.verdict == Verdict::ok);
    return answer.excess;
  }
  bool busy(std::string_view key, std::uint64_t burst) {
    return store->lookup(key, now, burst, true).verdict == Verdict::busy;
  }
  std::uint64_t now = 10'000'000;
};

}  // namespace

TEST_CASE("limit_req: the bucket leaks at the rate", "[http][limit]") {
  LimitReq z(2000);  // 2r/s
  CHECK(z.ok("a") == 0);
  CHECK(z.ok("a") == 1000);
  CHECK(z.ok("a") == 2000);
  CHECK(z.ok("b") == 0);
  z.now += 250;
  CHECK(z.ok("a") == 2500);
  z.now += 1;
  CHECK(z.ok("a") == 3498);
  z.now += 60000;
  CHECK(z.ok("a") == 0);
  CHECK(z->delay_for(2500, 0) == 1250);
  CHECK(z->delay_for(2500, 1000) == 750);
  CHECK(z->delay_for(2500, 2500) == 0);
}

TEST_CASE("limit_req: a rate per minute", "[http][limit]") {
  LimitReq z(30 * 1000 / 60);
  CHECK(z.ok("a") == 0);
  z.now += 1000;
  CHECK(z.ok("a") == 500);
  z.now += 1000;
  CHECK(z.ok("a") == 1000);
}

TEST_CASE("limit_req: what is above the burst is busy and not accounted", "[http][limit]") {
  LimitReq z(1000);
  CHECK(z.ok("a") == 0);
  CHECK(z.busy("a", 0));
  CHECK(z.busy("a", 999));
  CHECK(z.ok("a", 1000) == 1000);
  CHECK(z.busy("a", 1999));
  z.now += 1000;
  CHECK_FALSE(z.busy("a", 1000));
}

TEST_CASE("limit_req: clocks of workers that differ", "[http][limit]") {
  LimitReq z(1000);
  z.ok("a");
  z.now -= 100;  // the next worker's clock is behind: no time has passed
  CHECK(z.ok("a") == 1000);
  z.now += 200;
  CHECK(z.ok("a") == 1900);  // counted from the later of the two moments
  z.now -= 100'000;          // out of all proportion: one millisecond
  CHECK(z.ok("a") == 2899);
  z.now += 1;
  CHECK(z.ok("a") == 3898);
}

TEST_CASE("limit_req: idle entries make way, two at a time, busy ones by force", "[http][limit]") {
  LimitReq z(1000, 16 << 10);        // 3 pages
  const std::string key(2000, 'k');  // each takes a page
  for (int i = 0; i < 3; ++i) CHECK(z.ok(key + std::to_string(i)) == 0);
  CHECK(z.zone->pool().free() == 0);
  z.now += 1;
  CHECK(z.ok(key + "3") == 0);  // 0 was the oldest
  CHECK(z.ok(key + "1") == 1000 - 1);
  CHECK(z.ok(key + "0") == 0);  // forgotten; takes the place of 2
  z.now += 60000;
  z.ok(key + "new");
  CHECK(z.zone->pool().free() == 1);  // two went, one came
  CHECK(z->lookup(std::string(20000, 'x'), z.now, 0, true).verdict == Verdict::no_memory);
}

TEST_CASE("limit_req: a pending entry stays", "[http][limit]") {
  LimitReq z(1000, 16 << 10);
  const std::string key(2000, 'k');
  const auto pending = z->lookup(key, z.now, 0, false);
  CHECK(pending.verdict == Verdict::pending);
  CHECK(z.ok(key + "1") == 0);
  CHECK(z.ok(key + "2") == 0);
  CHECK(z->lookup(key + "3", z.now, 0, true).verdict == Verdict::no_memory);
  z->release(pending.ticket);
  CHECK(z.ok(key + "3") == 0);
}

TEST_CASE("limit_req: several zones account together or not at all", "[http][limit]") {
  LimitReq fast(5000), slow(1000);
  Arena arena;
  const LimitReqRule rules[] = {{&*fast.store, 0, 0}, {&*slow.store, 3000, 0}};
  std::string_view keys[] = {"k", "k"};
  std::uint64_t now = 10'000'000;
  auto decide = [&] { return limit_request(rules, keys, now, arena); };

  CHECK(decide().kind == Kind::pass);
  auto d = decide();
  CHECK(d.kind == Kind::reject);
  CHECK(d.rule == &rules[0]);
  CHECK(d.excess == 1000);
  now += 200;  // the fast one is empty again, the slow one holds 800
  d = decide();
  CHECK(d.kind == Kind::delay);
  CHECK(d.delay_ms == 800);
  CHECK(d.excess == 800);
  CHECK(d.rule == &rules[1]);

  // Rejected by the second: the first has not counted it.
  now += 200;
  const LimitReqRule strict[] = {{&*fast.store, 0, 0}, {&*slow.store, 0, 0}};
  for (int i = 0; i < 3; ++i) CHECK(limit_request(strict, keys, now, arena).kind == Kind::reject);
  CHECK(limit_request(strict, keys, now, arena).rule == &strict[1]);
  keys[1] = {};
  CHECK(decide().kind == Kind::pass);
  CHECK(decide().kind == Kind::reject);
  keys[0] = {};
  CHECK(decide().kind == Kind::none);
}

TEST_CASE("limit_req: the longest delay wins", "[http][limit]") {
  LimitReq a(1000), b(1000);
  Arena arena;
  const LimitReqRule rules[] = {{&*a.store, 9000, 0}, {&*b.store, 9000, 9000}};
  const std::string_view keys[] = {"k", "k"};
  CHECK(limit_request(rules, keys, 10'000'000, arena).kind == Kind::pass);
  const auto d = limit_request(rules, keys, 10'000'000, arena);
  CHECK(d.kind == Kind::delay);
  CHECK(d.delay_ms == 1000);
  CHECK(d.rule == &rules[0]);
}

TEST_CASE("limit_conn: counts per key", "[http][limit]") {
  InZone<LimitConnZone> z(64 << 10);
  using V = LimitConnZone::Verdict;
  LimitConnZone::Hold a, b, c, other;
  CHECK(z->acquire("k", 2, a) == V::ok);
  CHECK(z->acquire("k", 2, b) == V::ok);
  CHECK(z->acquire("k", 2, c) == V::busy);
  CHECK_FALSE(c);
  CHECK(z->acquire("o", 2, other) == V::ok);
  a.reset();
  CHECK(z->acquire("k", 2, c) == V::ok);
  b = LimitConnZone::Hold();
  {
    const LimitConnZone::Hold moved = std::move(c);
  }
  other.reset();
  CHECK(z.zone->pool().free() == z.zone->pool().total());

  std::vector<LimitConnZone::Hold> all;
  V last = V::ok;
  for (int i = 0; i < 100000 && last == V::ok; ++i) {
    last = z->acquire("key" + std::to_string(i), 1, all.emplace_back());
  }
  CHECK(last == V::no_memory);
  all.clear();
  CHECK(z.zone->pool().free() == z.zone->pool().total());
}

TEST_CASE("limit stores: workers share them, and survive one that dies", "[http][limit]") {
  InZone<LimitConnZone> z(64 << 10);
  LimitConnZone::Hold mine;
  REQUIRE(z->acquire("shared", 1, mine) == LimitConnZone::Verdict::ok);
  const auto in_child = [&](auto body) {
    const pid_t child = fork();
    if (child == 0) _exit(body() ? 0 : 1);
    int status = -1;
    waitpid(child, &status, 0);
    return status;
  };
  CHECK(in_child([&] {
          LimitConnZone::Hold hold;
          return z->acquire("shared", 1, hold) == LimitConnZone::Verdict::busy;
        }) == 0);

  auto* lock = static_cast<ShmLock*>(z.zone->index());
  CHECK(WIFSIGNALED(in_child([&] {
    lock->lock();
    lock->begin_change();
    kill(getpid(), SIGKILL);
    return true;
  })));
  LimitConnZone::Hold next;
  CHECK(z->acquire("shared", 1, next) == LimitConnZone::Verdict::ok);  // started anew
  mine.reset();                                                        // counted before that: ignored
  LimitConnZone::Hold third;
  CHECK(z->acquire("shared", 1, third) == LimitConnZone::Verdict::busy);
}
