#include "fiber/timer_wheel.hpp"

#include <algorithm>
#include <random>
#include <vector>

#include <catch2/catch.hpp>

using mp::fiber::kNever;
using mp::fiber::Msec;
using mp::fiber::Timer;
using mp::fiber::TimerWheel;

namespace {

struct Recorder final : Timer {
  std::vector<std::pair<Msec, int>>* fired = nullptr;
  const Msec* now = nullptr;
  int id = 0;
  void expired() override { fired->emplace_back(*now, id); }
};

}  // namespace

TEST_CASE("timers fire when they are due, whatever the steps of the clock", "[timer_wheel]") {
  std::mt19937 random(4711);
  for (int round = 0; round < 30; ++round) {
    Msec now = 1000000 + random() % 100000;
    TimerWheel wheel(now);
    std::vector<std::pair<Msec, int>> fired;
    std::vector<Recorder> timers(200);
    std::size_t expected = 0;
    for (std::size_t i = 0; i < timers.size(); ++i) {
      timers[i].fired = &fired;
      timers[i].now = &now;
      timers[i].id = static_cast<int>(i);
      const Msec range = i % 4 == 0 ? 10 : i % 4 == 1 ? 1000 : i % 4 == 2 ? 100000 : 40000000;
      wheel.arm(timers[i], now + 1 + random() % range);
      ++expected;
    }
    for (std::size_t i = 0; i < timers.size(); i += 7) {
      timers[i].disarm();
      --expected;
    }
    int passes = 0;
    for (Msec left = wheel.until_next(now); left != kNever; left = wheel.until_next(now)) {
      // Sometimes earlier than told, sometimes later: as an event loop does.
      Msec step = left;
      if (random() % 3 == 0) step = random() % (left + 1);
      if (random() % 3 == 1) step += random() % 1000;
      const Msec before = now;
      now += step;
      const std::size_t known = fired.size();
      wheel.advance(now);
      for (std::size_t i = known; i < fired.size(); ++i) {
        const Msec due = timers[static_cast<std::size_t>(fired[i].second)].deadline();
        CHECK(due <= now);
        if (step <= left) CHECK((due >= before + step || due <= before + 1 || step == 0));
        if (i > known) CHECK(timers[static_cast<std::size_t>(fired[i - 1].second)].deadline() <= due);
      }
      REQUIRE(++passes < 100000);
    }
    CHECK(fired.size() == expected);
  }
}

TEST_CASE("nothing is late when the wheel says how long to wait", "[timer_wheel]") {
  std::mt19937 random(1);
  for (const Msec distance :
       {1, 2, 255, 256, 257, 300, 511, 512, 65535, 65536, 65537, 70000, 16777215, 16777216, 20000000}) {
    for (int i = 0; i < 20; ++i) {
      Msec now = 5000000000 + random() % 70000;
      const Msec due = now + distance;
      TimerWheel wheel(now);
      std::vector<std::pair<Msec, int>> fired;
      Recorder timer;
      timer.fired = &fired;
      timer.now = &now;
      wheel.arm(timer, due);
      int waits = 0;
      while (fired.empty()) {
        const Msec left = wheel.until_next(now);
        REQUIRE(left != kNever);
        REQUIRE(++waits <= 8);
        now += left;
        wheel.advance(now);
      }
      CHECK(now == due);
      CHECK(wheel.until_next(now) == kNever);
    }
  }
}

TEST_CASE("a timer that was disarmed is waited for at most once", "[timer_wheel]") {
  Msec now = 1000;
  TimerWheel wheel(now);
  std::vector<std::pair<Msec, int>> fired;
  Recorder gone, stays;
  gone.fired = stays.fired = &fired;
  gone.now = stays.now = &now;
  wheel.arm(stays, 1200);
  wheel.arm(gone, 1050);
  gone.disarm();
  const Msec left = wheel.until_next(now);
  CHECK(left <= 200);
  now += left;
  wheel.advance(now);
  CHECK(wheel.until_next(now) == 1200 - now);
  wheel.arm(gone, now + 3);
  CHECK(wheel.until_next(now) == 3);
  now += 3;
  wheel.advance(now);
  CHECK(fired.size() == 1);
  now = 1200;
  wheel.advance(now);
  CHECK(fired.size() == 2);
  CHECK(wheel.until_next(now) == kNever);
}
