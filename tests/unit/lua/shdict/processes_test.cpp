// Several processes on one dictionary: exclusion, lock-free reading, and the death of a writer.
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.hpp"
#include "lua/shdict/layout.hpp"

using namespace mp;
using namespace mp::lua;
using mp::lua::test::DictFixture;
using Outcome = ShmDict::Outcome;
using Type = ShmDict::Type;

namespace {

template <class Body>
pid_t spawn(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body() ? 0 : 1);
  return child;
}

bool all_succeed(const std::vector<pid_t>& children) {
  bool ok = true;
  for (pid_t child : children) {
    int status = -1;
    ok &= waitpid(child, &status, 0) == child && status == 0;
  }
  return ok;
}

// A text that tells by itself whether it is whole: one letter, in a length that the letter decides.
std::string pattern(unsigned n, unsigned scale) {
  return std::string((n % 26 + 1) * scale, static_cast<char>('a' + n % 26));
}
bool is_whole(std::string_view text, unsigned scale) {
  if (text.empty()) return false;
  const unsigned n = static_cast<unsigned>(text[0] - 'a');
  return n < 26 && text == pattern(n, scale);
}

}  // namespace

TEST_CASE("shdict: increments of several processes are all counted", "[lua][shdict]") {
  DictFixture d(8 << 20);
  constexpr int kRounds = 20000;
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    children.push_back(spawn([&] {
      for (int n = 0; n < kRounds; ++n) {
        const std::string key = "k" + std::to_string(n % 7);
        if (n % 2 == 0 || d.add(key, 1) == "no") d.incr(key, 1, 0);
      }
      return true;
    }));
  }
  REQUIRE(all_succeed(children));
  double sum = 0;
  for (int i = 0; i < 7; ++i) {
    d.get("k" + std::to_string(i));
    sum += d.reply.number;
  }
  CHECK(sum == 4.0 * kRounds);
}

TEST_CASE("shdict: numbers are counted while their neighbours come and go", "[lua][shdict]") {
  DictFixture d(8 << 20);
  constexpr int kRounds = 30000;
  const auto count = [&] {
    for (int n = 0; n < kRounds; ++n) {
      const std::string key = "n" + std::to_string(n % 300);
      if (d.add(key, 1) == "no") d.incr(key, 1, 0);
    }
    return true;
  };
  const auto disturb = [&](unsigned seed) {
    return [&d, seed] {
      std::mt19937 random(seed);
      for (int n = 0; n < kRounds; ++n) {
        const std::string key = "x" + std::to_string(random() % 30000);
        switch (random() % 4) {
          case 0:
            d.erase(key);
            break;
          case 1:
            d.set_number(key, n, random() % 2);
            break;
          default:
            d.set_text(key, pattern(random(), 5));
        }
        if (n % 100 == 0) d.dict->flush_expired(d.now + 5, 0);
      }
      return true;
    };
  };
  CHECK(all_succeed({spawn(count), spawn(count), spawn(disturb(1)), spawn(disturb(2))}));
  double sum = 0;
  for (int i = 0; i < 300; ++i) {
    d.get("n" + std::to_string(i));
    sum += d.reply.number;
  }
  CHECK(sum == 2.0 * kRounds);
}

TEST_CASE("shdict: numbers that come and go are written where they are, and nowhere else", "[lua][shdict]") {
  // Every number tells its key. Half of the keys are longer than what is remembered of them.
  DictFixture d(8 << 20);
  constexpr int kKeys = 300;
  constexpr int kRounds = 60000;
  const auto name = [](int i) {
    return (i % 2 != 0 ? "n" : "a key of more than 16 bytes ") + std::to_string(i);
  };
  const auto write = [&](int step) {
    return [&d, &name, step] {
      for (int n = 0; n < kRounds; ++n) {
        const int i = (n * step + n / kKeys) % kKeys;
        d.put(name(i), i + 1000.0 * n);
        d.add(name(i), 1000);
      }
      return true;
    };
  };
  const auto replace = [&](unsigned seed) {
    return [&d, &name, seed] {
      std::mt19937 random(seed);
      for (int n = 0; n < kRounds / 4; ++n) {
        const int i = static_cast<int>(random() % kKeys);
        const std::string key = name(i);
        switch (random() % 4) {
          case 0:
            d.erase(key);
            break;
          case 1:
            d.set_text(key, pattern(static_cast<unsigned>(i), 1));
            break;
          case 2:
            d.set_text("t" + std::to_string(i), pattern(static_cast<unsigned>(i), 1));
            break;
          default:
            d.set_number(key, i, random() % 2 * 1000);
        }
      }
      return true;
    };
  };
  const auto read = [&] {
    for (int n = 0; n < kRounds; ++n) {
      const int i = n % kKeys;
      const std::string text = "'" + pattern(static_cast<unsigned>(i), 1) + "'";
      const std::string got = d.get(name(i));
      if (got != "nil" && got != text && static_cast<int>(std::fmod(d.reply.number, 1000)) != i) return false;
      const std::string beside = d.get("t" + std::to_string(i));
      if (beside != "nil" && beside != text) return false;
    }
    return true;
  };
  CHECK(all_succeed({spawn(write(1)), spawn(write(7)), spawn(replace(1)), spawn(replace(2)), spawn(read)}));
}

TEST_CASE("shdict: what another process removed is not written any more", "[lua][shdict]") {
  DictFixture d(8 << 20);
  d.set_number("n", 1);
  CHECK(d.put("n", 2));
  CHECK(d.add("n", 1) == "3");  // remembered now
  CHECK(all_succeed({spawn([&] {
    d.erase("n");
    for (int i = 0; i < 100; ++i) d.set_number("m" + std::to_string(i), i);  // one of them where it was
    return true;
  })}));
  CHECK_FALSE(d.put("n", 5));
  CHECK(d.add("n", 5) == "no");
  for (int i = 0; i < 100; ++i) CHECK(d.get("m" + std::to_string(i)) == std::to_string(i));
}

TEST_CASE("shdict: a value is never of two writers", "[lua][shdict]") {
  // Flags, type and value belong together, whichever way they were written.
  DictFixture d(8 << 20);
  const auto write = [&](int n) {
    return [&d, n] {
      for (int i = 0; i < 30000; ++i) {
        const std::string key = "k" + std::to_string(i % 5);
        if (i % 16 == 0) {
          d.store(ShmDict::kSet, key, {Type::string, 0, "12345678"}, 0, 100);
        } else {
          d.store(ShmDict::kSet, key, {Type::number, n + 0.5, {}}, i % 3 == 0 ? 1000u : 0u, n);
        }
      }
      return true;
    };
  };
  const auto read = [&] {
    for (int i = 0; i < 60000; ++i) {
      const std::string got = d.get("k" + std::to_string(i % 5));
      if (got == "nil") continue;
      if (got != (d.reply.flags == 100 ? "'12345678'" : std::to_string(d.reply.flags) + ".5")) return false;
    }
    return true;
  };
  CHECK(all_succeed({spawn(write(1)), spawn(write(2)), spawn(write(3)), spawn(read)}));
}

TEST_CASE("shdict: whoever dies while it counts costs nothing", "[lua][shdict]") {
  DictFixture d(8 << 20);
  for (int i = 0; i < 5; ++i) d.set_number("n" + std::to_string(i), 0);
  std::mt19937 random(5);
  for (int round = 0; round < 40; ++round) {
    const pid_t victim = spawn([&] {
      for (unsigned n = 0;; ++n) {
        const std::string key = "n" + std::to_string(n % 5);
        if (round % 2 == 0) {
          d.incr(key, 1);
        } else if (n % 3 == 0) {
          d.put(key, n);
        } else {
          d.add(key, 1);
        }
      }
      return true;
    });
    usleep(500 + random() % 1000);  // not to wait for anything: the moment of death should vary
    kill(victim, SIGKILL);
    waitpid(victim, nullptr, 0);
    for (int i = 0; i < 5; ++i) REQUIRE(d.set_text("n" + std::to_string(i), "text"));
    for (int i = 0; i < 5; ++i) REQUIRE(d.set_number("n" + std::to_string(i), 0));
  }
  CHECK(d.dict->resets() == 0);
}

TEST_CASE("shdict: a reader never sees half a value, nor an overwritten key missing", "[lua][shdict]") {
  // Sizes differ from write to write, so entries move; the second zone is always full and evicts.
  const bool evicting = GENERATE(false, true);
  const unsigned scale = evicting ? 150 : 40;
  DictFixture d(evicting ? 64 << 10 : 1 << 20);
  constexpr int kKeys = 40;
  for (int i = 0; i < kKeys; ++i)
    d.set_text("k" + std::to_string(i), pattern(static_cast<unsigned>(i), scale));
  const auto writer = [&](unsigned seed) {
    return [&d, seed, scale] {
      std::mt19937 random(seed);
      for (int i = 0; i < 60000; ++i) {
        d.set_text("k" + std::to_string(random() % kKeys), pattern(random(), scale));
      }
      return true;
    };
  };
  const auto reader = [&](unsigned seed) {
    return [&d, seed, scale, evicting] {
      std::mt19937 random(seed);
      std::string buffer(26 * 150, '\0');
      for (int i = 0; i < 150000; ++i) {
        ShmDict::Reply reply{};
        const std::string key = "k" + std::to_string(random() % kKeys);
        if (d.dict->get(key, d.now, false, buffer.data(), buffer.size(), reply) != Outcome::ok) return false;
        if (reply.type == static_cast<int>(Type::nil)) {
          if (!evicting) return false;
        } else if (!is_whole(std::string_view(buffer).substr(0, reply.size), scale)) {
          return false;
        }
      }
      return true;
    };
  };
  CHECK(all_succeed({spawn(writer(1)), spawn(writer(2)), spawn(reader(3)), spawn(reader(4))}));
}

TEST_CASE("shdict: a writer killed at any moment neither blocks nor corrupts", "[lua][shdict]") {
  DictFixture d(4 << 20);
  std::mt19937 random(11);
  std::uint32_t resets = 0;
  for (int round = 0; round < 60; ++round) {
    std::vector<pid_t> victims;
    for (unsigned n = 0; n < 2; ++n) {
      victims.push_back(spawn([&d, round, n] {
        std::mt19937 r(static_cast<unsigned>(round) * 2 + n);
        for (;;) {
          const std::string key = "k" + std::to_string(r() % 300);
          if (r() % 4 == 0) {
            d.erase(key);
          } else {
            d.set_text(key, pattern(r(), 900));
          }
        }
        return true;
      }));
    }
    usleep(500 + random() % 2000);  // not to wait for anything: the moment of death should vary
    for (pid_t victim : victims) {
      kill(victim, SIGKILL);
      waitpid(victim, nullptr, 0);
    }
    for (int i = 0; i < 300; ++i) {
      const std::string got = d.get("k" + std::to_string(i));
      const std::string_view text = std::string_view(got).substr(1, got.size() - 2);
      REQUIRE((got == "nil" || is_whole(text, 900) || is_whole(text, 10)));
      REQUIRE(d.set_text("k" + std::to_string(i), pattern(static_cast<unsigned>(i), 10)));
    }
    resets = d.dict->resets();
  }
  CAPTURE(resets);
  d.dict->flush_all(d.now);
  d.dict->flush_expired(d.now, 0);
  CHECK(d.dict->free_space() == DictFixture(4 << 20).dict->free_space());
}

TEST_CASE("shdict: contents that a dead writer left half changed are dropped", "[lua][shdict]") {
  DictFixture d(8 << 20);
  for (int i = 0; i < 1000; ++i) d.set_number("k" + std::to_string(i), i);
  const std::size_t shards = d.dict->shards();
  auto* control = static_cast<shdict::Control*>(d.zones.find("dogs")->index());
  auto* first = reinterpret_cast<shdict::Shard*>(control + 1);
  const pid_t victim = spawn([&] {
    first[shards - 1].lock.lock();
    first[shards - 1].lock.begin_change();
    kill(getpid(), SIGKILL);
    return true;
  });
  waitpid(victim, nullptr, 0);
  // Two survivors come upon it at once.
  const auto survivor = [&] {
    d.key_count();  // all shards, the dead one's last
    return d.key_count() == 0;
  };
  CHECK(all_succeed({spawn(survivor), spawn(survivor)}));
  CHECK(d.dict->resets() == 1);
  CHECK(d.get("k1") == "nil");
  CHECK(d.set_number("k1", 1));
  CHECK(d.get("k1") == "1");
}
