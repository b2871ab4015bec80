#include <stdexcept>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include "fiber/scheduler.hpp"

using namespace mp::fiber;

namespace {

struct Flag {
  bool& set;
  ~Flag() { set = true; }
};

}  // namespace

TEST_CASE("spawn_now runs until the first wait, then the parent goes on") {
  Scheduler s;
  std::string order;
  spawn([&] {
    order += "0 ";
    spawn_now([&] {
      order += "f1 ";
      yield();
      order += "f2 ";
    });
    order += "1 ";
    yield();
    order += "2 ";
  });
  s.run(true);
  CHECK(order == "0 f1 1 f2 2 ");
}

TEST_CASE("the ready queue is first in, first out") {
  Scheduler s;
  std::string order;
  for (char c = 'a'; c < 'f'; ++c) {
    spawn([&order, c] {
      for (int i = 0; i < 3; ++i) {
        order += c;
        yield();
      }
    });
  }
  s.run(true);
  CHECK(order == "abcdeabcdeabcde");
}

TEST_CASE("who lines up goes behind what is ready, and on at once where nothing is") {
  Scheduler s;
  std::string order;
  for (char c = 'a'; c < 'd'; ++c) {
    spawn([&order, c] {
      order += c;
      line_up();
      order += static_cast<char>(c - 'a' + '1');
    });
  }
  s.turn(0);
  CHECK(order == "abc312");  // the last one meets nobody in front of it
  spawn([&] {
    order += 'x';
    spawn([&] { order += 'y'; });  // of the next pass
    line_up();
    order += 'X';
  });
  s.run(true);
  CHECK(order == "abc312xXy");
}

TEST_CASE("sleeping fibers wake in the order of their deadlines") {
  Scheduler s;
  std::string order;
  for (int ms : {30, 10, 20, 0}) {
    spawn([&order, ms] {
      sleep_for(ms);
      order += std::to_string(ms) + " ";
    });
  }
  s.run(true);
  CHECK(order == "0 10 20 30 ");
}

TEST_CASE("cancel unwinds a waiting fiber") {
  Scheduler s;
  bool unwound = false;
  bool went_on = false;
  spawn([&] {
    Fiber* child = spawn_now([&] {
      Flag flag{unwound};
      sleep_for(1000000);
      went_on = true;
    });
    cancel(*child);
  });
  s.run(true);
  CHECK(unwound);
  CHECK_FALSE(went_on);
}

TEST_CASE("when all are cancelled, each unwinds at its turn, and new ones live") {
  Scheduler s;
  int unwound = 0;
  const auto wait_long = [&] {
    struct Unwound {
      int& count;
      ~Unwound() { ++count; }
    } unwinding{unwound};
    sleep_for(1000000);
  };
  spawn_later([](void*) {}, nullptr);  // the fiber it leaves behind rests
  s.run(true);
  spawn(wait_long);
  s.turn(0);
  spawn(wait_long);  // has not begun
  s.cancel_all();
  CHECK(unwound == 0);
  s.run(true);
  CHECK(unwound == 2);
  bool went_on = false;
  spawn([&] {
    sleep_for(1);
    went_on = true;
  });
  s.run(true);
  CHECK(went_on);
}

TEST_CASE("a shield holds cancellation back") {
  Scheduler s;
  int slept = 0;
  spawn([&] {
    Fiber* child = spawn_now([&] {
      {
        CancelShield shield;
        sleep_for(5);
        ++slept;
      }
      sleep_for(5);
      ++slept;
    });
    cancel(*child);
  });
  s.run(true);
  CHECK(slept == 1);
}

TEST_CASE("a stale ticket wakes nobody") {
  Scheduler s;
  Ticket old;
  int wakes = 0;
  spawn([&] {
    old = ticket();
    wait(now() + 5);
    CHECK_FALSE(wake(old));
    wakes = wait(now() + 5) ? 1 : 0;
  });
  s.run(true);
  CHECK(wakes == 0);
}

TEST_CASE("a wake before the wait is not lost") {
  Scheduler s;
  bool woken = false;
  spawn([&] {
    Ticket t = ticket();
    wake(t);
    woken = wait(now() + 1000);
  });
  s.run(true);
  CHECK(woken);
}

TEST_CASE("exceptions being handled stay with their fiber") {
  Scheduler s;
  std::string text;
  for (const char* name : {"one", "two"}) {
    spawn([&text, name] {
      try {
        throw std::runtime_error(name);
      } catch (...) {
        yield();
        try {
          throw;
        } catch (const std::exception& e) {
          text += e.what();
        }
      }
    });
  }
  s.run(true);
  CHECK(text == "onetwo");
}

TEST_CASE("a group waits for all its children, and takes them along when cancelled") {
  Scheduler s;
  int ended = 0;
  bool after = false;
  SECTION("normal end") {
    spawn([&] {
      Group g;
      for (int ms : {3, 1, 2}) {
        g.spawn([&ended, ms] {
          sleep_for(ms);
          ++ended;
        });
      }
      g.wait();
      after = ended == 3;
    });
    s.run(true);
    CHECK(after);
  }
  SECTION("cancelled") {
    bool one = false;
    bool two = false;
    spawn([&] {
      Fiber* parent = spawn_now([&] {
        Group g;
        g.spawn([&] {
          Flag f{one};
          sleep_for(100000);
        });
        g.spawn([&] {
          Flag f{two};
          sleep_for(100000);
        });
        g.wait();
        after = true;
      });
      yield();
      cancel(*parent);
    });
    s.run(true);
    CHECK((one && two && !after));
  }
}

TEST_CASE("a watch wakes the reader when bytes come") {
  Scheduler s;
  int pair[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
  std::string got;
  spawn([&] {
    Watch w;
    REQUIRE(w.add(pair[0]));
    char buffer[8];
    while (got.size() < 3) {
      ssize_t n = read(pair[0], buffer, sizeof buffer);
      if (n > 0) {
        got.append(buffer, n);
      } else {
        w.reader = ticket();
        REQUIRE(wait(now() + 1000));
      }
    }
  });
  spawn([&] {
    for (char c : {'a', 'b', 'c'}) {
      REQUIRE(write(pair[1], &c, 1) == 1);
      sleep_for(1);
    }
  });
  s.run(true);
  CHECK(got == "abc");
  close(pair[0]);
  close(pair[1]);
}

TEST_CASE("ten thousand fibers with random kills") {
  Scheduler s;
  int destroyed = 0;
  struct Count {
    int& n;
    ~Count() { ++n; }
  };
  spawn([&] {
    std::vector<Fiber*> fibers;
    std::vector<char> done(10000);
    for (int i = 0; i < 10000; ++i) {
      fibers.push_back(spawn_now([&destroyed, &done, i] {
        struct Mark {
          char& c;
          ~Mark() { c = 1; }
        } mark{done[i]};
        Count c{destroyed};
        for (int n = 0; n < 5; ++n) n % 2 ? yield() : sleep_for(i % 7);
      }));
    }
    for (int i = 0; i < 10000; i += 3) {
      if (!done[i]) cancel(*fibers[i]);
    }
    while (destroyed < 10000) yield();
  });
  s.run(true);
  CHECK(destroyed == 10000);
}

TEST_CASE("each wait has its own deadline, whatever the one before left behind") {
  Scheduler s;
  std::string ended;
  spawn([&] {
    for (const Msec deadline : {60000, 5, 60000, 30000, 5}) {
      if (deadline > 5) spawn([t = ticket()] { wake(t); });
      const Msec from = now();
      ended += wait(from + deadline) ? 'w' : 't';
      CHECK(now() - from >= (deadline > 5 ? 0 : deadline));
      CHECK(now() - from < 3000);
    }
  });
  s.run(true);
  CHECK(ended == "wtwwt");
  // The fiber is used again, with a timer that was armed for it before.
  spawn([&] { ended += wait(now() + 5) ? 'w' : 't'; });
  s.run(true);
  CHECK(ended == "wtwwtt");
}

TEST_CASE("timers far away fire on time") {
  struct Probe final : Timer {
    std::vector<Msec>* fired = nullptr;
    void expired() override { fired->push_back(deadline()); }
  };
  TimerWheel wheel(1000);
  std::vector<Msec> fired;
  std::vector<Msec> due = {1001, 1255, 1256, 1300, 66000, 66536, 70000, 17000000, 20000000};
  std::vector<Probe> probes(due.size());
  for (size_t i = 0; i < due.size(); ++i) {
    probes[i].fired = &fired;
    wheel.arm(probes[i], due[due.size() - 1 - i]);
  }
  Msec now = 1000;
  while (fired.size() < due.size()) {
    Msec step = wheel.until_next(now);
    REQUIRE(step != kNever);
    now += step == 0 ? 1 : step;
    size_t before = fired.size();
    wheel.advance(now);
    for (size_t i = before; i < fired.size(); ++i) CHECK(fired[i] == now);
  }
  CHECK(fired == due);
  CHECK(wheel.until_next(now) == kNever);
}

TEST_CASE("functions that became ready together run one after the other, each as on a fiber of its own") {
  Scheduler s;
  static std::string order;
  static std::vector<Fiber*> ran_on;
  static Ticket stale;
  order.clear();
  ran_on.clear();
  stale = {};
  auto quick = [](void* name) {
    order += static_cast<const char*>(name);
    ran_on.push_back(current());
    CHECK(local().request == nullptr);
    local().request = name;
    CHECK_FALSE(cancelled(*current()));
    cancel(*current());
    if (!stale) stale = ticket();
  };
  auto waits = [](void* name) {
    order += static_cast<const char*>(name);
    CHECK_FALSE(wake(stale));  // that of a function that has ended
    yield();
    order += static_cast<const char*>(name);
  };
  spawn_later(quick, const_cast<char*>("a"));
  spawn_later(waits, const_cast<char*>("b"));
  spawn_later(quick, const_cast<char*>("c"));
  spawn([&] { order += "d"; });
  spawn_later(quick, const_cast<char*>("e"));
  CHECK(s.fibers() == 5);
  s.run(true);
  CHECK(order == "abcdeb");
  CHECK(s.fibers() == 0);
  REQUIRE(ran_on.size() == 3);
  CHECK(ran_on[0] != ran_on[1]);  // b had it, and had not ended
}

TEST_CASE("a function that is cancelled does not take the next one with it") {
  Scheduler s;
  static int ended;
  ended = 0;
  auto cancelled_at_once = [](void*) {
    cancel(*current());
    wait(now() + 1000);
    ++ended;
  };
  spawn_later(cancelled_at_once, nullptr);
  spawn_later([](void*) { ++ended; }, nullptr);
  s.run(true);
  CHECK(ended == 1);
  CHECK(s.fibers() == 0);
}

TEST_CASE("functions of later passes go on with the fiber that rests, as on one of their own") {
  static std::vector<Fiber*> ran_on;
  static Ticket stale;
  ran_on.clear();
  stale = {};
  auto quick = [](void*) {
    CHECK_FALSE(wake(stale));
    CHECK_FALSE(cancelled(*current()));
    CHECK(local().request == nullptr);
    ran_on.push_back(current());
    stale = ticket();
    local().request = &ran_on;
    cancel(*current());
  };
  static Fiber* waiting;
  auto waits = [](void*) {
    waiting = current();
    sleep_for(5);
  };
  {
    Scheduler s;
    spawn_later(quick, nullptr);
    s.run(true);
    spawn_later(waits, nullptr);  // takes it along
    spawn_later(quick, nullptr);
    s.turn(0);
    CHECK(waiting == ran_on[0]);
    CHECK(s.fibers() == 1);
    spawn_later(quick, nullptr);
    s.turn(0);
    s.run(true);  // the one that waited finds another one resting, and ends
    spawn_later(quick, nullptr);
    s.run(true);
    CHECK(s.fibers() == 0);
  }
  REQUIRE(ran_on.size() == 4);
  CHECK(ran_on[1] != ran_on[0]);
  CHECK(ran_on[2] == ran_on[1]);
  CHECK(ran_on[3] == ran_on[1]);
}
