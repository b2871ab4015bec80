// The contract of ngx.shared.DICT, one dictionary, one process.
#include "lua/shdict/dict.hpp"

#include <map>
#include <random>

#include "fixture.hpp"

using namespace mp;
using namespace mp::lua;
using mp::lua::test::DictFixture;
using Outcome = ShmDict::Outcome;
using Type = ShmDict::Type;

TEST_CASE("shdict: values come back as they went in", "[lua][shdict]") {
  DictFixture d(1 << 20);
  CHECK(d.get("foo") == "nil");
  CHECK(d.set_number("foo", 3.25));
  CHECK(d.get("foo") == "3.25");
  CHECK(d.set_text("foo", "hello"));
  CHECK(d.get("foo") == "'hello'");
  CHECK(d.set_text("foo", ""));
  CHECK(d.get("foo") == "''");
  CHECK(d.store(ShmDict::kSet, "foo", {Type::boolean, 1, {}}, 0, 72) == Outcome::ok);
  CHECK(d.get("foo") == "true");
  CHECK(d.reply.flags == 72);
  CHECK(d.store(ShmDict::kSet, "foo", {Type::boolean, 0, {}}) == Outcome::ok);
  CHECK(d.get("foo") == "false");
  const std::string big(100000, 'x'), key(65535, 'k');
  CHECK(d.set_text(key, big));
  CHECK(d.get(key) == "'" + big + "'");
  d.erase("foo");
  CHECK(d.get("foo") == "nil");
  CHECK(d.key_count() == 1);
}

TEST_CASE("shdict: add and replace", "[lua][shdict]") {
  DictFixture d(1 << 20);
  const ShmDict::Value value{Type::number, 5, {}};
  CHECK(d.store(ShmDict::kReplace, "k", value) == Outcome::failed);
  CHECK(std::string(d.reply.error) == "not found");
  CHECK(d.store(ShmDict::kAdd, "k", value, 10) == Outcome::ok);
  CHECK(d.store(ShmDict::kAdd, "k", value) == Outcome::failed);
  CHECK(std::string(d.reply.error) == "exists");
  CHECK(d.store(ShmDict::kReplace, "k", {Type::string, 0, "longer than a number"}, 10) == Outcome::ok);
  CHECK(d.get("k") == "'longer than a number'");
  d.now += 10;
  CHECK(d.store(ShmDict::kReplace, "k", value) == Outcome::failed);
  CHECK(d.store(ShmDict::kAdd, "k", value) == Outcome::ok);
  CHECK(d.get("k") == "5");
  for (int mode : {ShmDict::kAdd + 0, ShmDict::kReplace + 0, ShmDict::kAdd | ShmDict::kSafe}) {
    CHECK(d.store(mode, "k", {}) == Outcome::failed);
    CHECK(std::string(d.reply.error) == "attempt to add or replace nil values");
  }
}

TEST_CASE("shdict: increment", "[lua][shdict]") {
  DictFixture d(1 << 20);
  CHECK(d.incr("n", 1) == "not found");
  CHECK(d.incr("n", 2, 40) == "42");
  CHECK(d.incr("n", 0.5) == "42.5");
  CHECK(d.incr("n", 1, 1000) == "43.5");
  d.set_text("s", "text");
  CHECK(d.incr("s", 1) == "not a number");
  CHECK(d.incr("s", 1, 0) == "not a number");
  CHECK(d.incr("t", 1, 0, 50) == "1");
  d.now += 49;
  CHECK(d.incr("t", 1, 0, 50) == "2");  // an existing number keeps its time
  d.now += 1;
  CHECK(d.incr("t", 1) == "not found");
  CHECK(d.incr("t", 1, 0) == "1");
  CHECK(d.push(ShmDict::End::left, "list", "x") == "1");
  d.dict->expire("list", d.now, 1);
  d.now += 1;
  CHECK(d.incr("list", 1, 6) == "7");
}

TEST_CASE("shdict: expiry, ttl and stale values", "[lua][shdict]") {
  DictFixture d(1 << 20);
  std::int64_t left = 0;
  CHECK_FALSE(d.dict->ttl("k", d.now, left));
  d.set_text("forever", "x");
  d.set_text("k", "v", 100);
  CHECK(d.dict->ttl("forever", d.now, left));
  CHECK(left == 0);
  CHECK(d.dict->ttl("k", d.now, left));
  CHECK(left == 100);
  d.now += 99;
  CHECK(d.get("k") == "'v'");
  d.now += 1;
  CHECK(d.get("k") == "nil");
  CHECK(d.get("k", true) == "'v'");
  CHECK(d.reply.stale == 1);
  CHECK(d.get("forever", true) == "'x'");
  CHECK(d.reply.stale == 0);
  d.now += 5;
  CHECK(d.dict->ttl("k", d.now, left));
  CHECK(left == -5);
  CHECK(d.dict->expire("k", d.now, 10));
  CHECK(d.get("k") == "'v'");
  CHECK(d.dict->expire("k", d.now, 0));
  d.now += 1000000;
  CHECK(d.get("k") == "'v'");
  CHECK_FALSE(d.dict->expire("other", d.now, 0));
}

TEST_CASE("shdict: a write drops up to two expired entries from the old end", "[lua][shdict]") {
  DictFixture d(1 << 20);
  for (const char* key : {"a", "b", "c"}) d.set_text(key, "x", 10);
  d.now += 10;
  CHECK(d.get("a", true) == "'x'");
  d.set_text("new", "y");
  CHECK(d.get("a", true) == "nil");
  CHECK(d.get("b", true) == "nil");
  CHECK(d.get("c", true) == "'x'");
}

TEST_CASE("shdict: flushing", "[lua][shdict]") {
  for (std::size_t size : {std::size_t{1} << 20, std::size_t{8} << 20}) {
    DictFixture d(size);
    for (int i = 0; i < 100; ++i) d.set_number("t" + std::to_string(i), i, 10);
    for (int i = 0; i < 50; ++i) d.set_number("k" + std::to_string(i), i);
    CHECK(d.key_count() == 150);
    CHECK(d.key_count(7) == 7);
    d.now += 10;
    CHECK(d.key_count() == 50);
    CHECK(d.dict->flush_expired(d.now, 42) == 42);
    CHECK(d.dict->flush_expired(d.now, 0) == 58);
    CHECK(d.dict->flush_expired(d.now, 0) == 0);
    d.dict->flush_all(d.now);
    CHECK(d.key_count() == 0);
    CHECK(d.get("k1") == "nil");
    d.dict->flush_expired(d.now, 0);
    CHECK(d.get("k1", true) == "nil");
  }
}

TEST_CASE("shdict: lists", "[lua][shdict]") {
  using End = ShmDict::End;
  DictFixture d(1 << 20);
  CHECK(d.length("l") == "0");
  CHECK(d.pop(End::left, "l") == "nil");
  CHECK(d.push(End::left, "l", "b") == "1");
  CHECK(d.push(End::left, "l", "a") == "2");
  CHECK(d.push(End::right, "l", "c") == "3");
  CHECK(d.dict->push(End::right, "l", {Type::number, 4.5, {}}, d.now, d.reply) == Outcome::ok);
  CHECK(d.length("l") == "4");
  CHECK(d.get("l") == "value is a list");
  CHECK(d.incr("l", 1) == "not a number");
  CHECK(d.pop(End::left, "l") == "'a'");
  CHECK(d.pop(End::right, "l") == "4.5");
  CHECK(d.pop(End::right, "l") == "'c'");
  CHECK(d.pop(End::right, "l") == "'b'");
  CHECK(d.pop(End::right, "l") == "nil");
  CHECK(d.key_count() == 0);
  d.set_text("s", "text");
  CHECK(d.push(End::left, "s", "x") == "value not a list");
  CHECK(d.pop(End::left, "s") == "value not a list");
  CHECK(d.length("s") == "value not a list");

  d.push(End::left, "l", "old");
  d.dict->expire("l", d.now, 10);
  d.set_text("young", "x");
  d.now += 10;
  CHECK(d.length("l") == "0");
  CHECK(d.push(End::left, "l", "new") == "1");
  CHECK(d.pop(End::left, "l") == "'new'");
  CHECK(d.set_text("l", "no list any more"));
  d.push(End::left, "m", "x");
  CHECK(d.set_number("m", 8));
  CHECK(d.get("m") == "8");

  const std::size_t before = d.dict->free_space();
  const std::string long_text(3000, 'z');
  for (int i = 0; i < 20; ++i) d.push(End::right, "long", long_text);
  ShmDict::Reply reply{};
  char tiny[8];
  CHECK(d.dict->pop(End::left, "long", d.now, tiny, sizeof tiny, reply) == Outcome::more_room);
  CHECK(reply.size == 3000);
  CHECK(d.length("long") == "20");
  d.erase("long");
  CHECK(d.dict->free_space() == before);
}

TEST_CASE("shdict: a small zone holds what it holds in nginx", "[lua][shdict]") {
  SECTION("as many entries, and the oldest goes first") {
    DictFixture d(100 << 10);
    const auto value = [](int i) { return std::string(60, 'x') + std::to_string(i); };
    int i = 1;
    for (; i < 1000; ++i) {
      if (i == 10) d.get("key_1");
      REQUIRE(d.set_text("key_" + std::to_string(i), value(i)));
      if (d.reply.forcible) break;
    }
    CHECK(i == 353);
    CHECK(d.get("key_1") == "'" + value(1) + "'");  // it was used since
    CHECK(d.get("key_2") == "nil");
    CHECK(d.get("key_3") == "'" + value(3) + "'");
  }
  SECTION("safe_set stops there") {
    DictFixture d(100 << 10);
    int i = 1;
    while (d.store(ShmDict::kSet | ShmDict::kSafe, "key_" + std::to_string(i),
                   {Type::string, 0, std::string(62, 'x')}) == Outcome::ok) {
      ++i;
    }
    CHECK(i == 353);
    CHECK(std::string(d.reply.error) == "no memory");
    CHECK(d.get("key_1") != "nil");
  }
  SECTION("free pages") {
    DictFixture d(16 << 10, "cats");
    CHECK(d.dict->capacity() == 16384);
    CHECK(d.dict->free_space() == 4096);
    const auto fill = [&](int count) {
      for (int i = 1; i <= count; ++i) {
        char key[16], text[16];
        snprintf(key, sizeof key, "key%05d", i);
        snprintf(text, sizeof text, "val%05d", i);
        REQUIRE(d.set_text(key, text));
        CHECK(d.reply.forcible == (i == 64));
      }
    };
    fill(31);
    CHECK(d.dict->free_space() == 4096);
    fill(63);
    CHECK(d.dict->free_space() == 0);
    fill(64);
    d.dict->flush_all(d.now);
    d.dict->flush_expired(d.now, 0);
    CHECK(d.dict->free_space() == 4096);
  }
  SECTION("list elements") {
    DictFixture d(100 << 10);
    int pushed = 0;
    while (d.push(ShmDict::End::left, "foo", "bar") != "no memory") ++pushed;
    CHECK(pushed == 2920);
    CHECK(d.reply.type == 0);
  }
  SECTION("a value that does not fit costs up to 30 others") {
    DictFixture d(50 << 10);
    CHECK_FALSE(d.set_text("foo", std::string(100000, 'x')));
    CHECK(d.reply.forcible == 0);
    d.set_text("bah", "hello");
    CHECK_FALSE(d.set_text("foo", std::string(100000, 'x')));
    CHECK(std::string(d.reply.error) == "no memory");
    CHECK(d.reply.forcible == 1);
  }
}

TEST_CASE("shdict: a large zone is sharded and evicts across shards", "[lua][shdict]") {
  DictFixture d(6 << 20);
  CHECK(d.dict->shards() > 1);
  REQUIRE(d.set_text("Jim", std::string(3 << 20, 'A')));
  REQUIRE(d.store(ShmDict::kAdd, "King", {Type::string, 0, std::string(5 << 20, 'B')}) == Outcome::ok);
  CHECK(d.reply.forcible == 1);
  CHECK(d.get("Jim") == "nil");
  CHECK_FALSE(d.set_text("huge", std::string(7 << 20, 'C')));
  CHECK(d.get("King").size() == (5 << 20) + 2);

  // A full dictionary takes every further key, whatever shard it falls into.
  d.erase("King");
  for (int i = 0; i < 200000; ++i) REQUIRE(d.set_number("k" + std::to_string(i), i));
  CHECK(d.get("k199999") == "199999");
  CHECK(d.get("k0") == "nil");
  CHECK(d.key_count() > 60000);
}

TEST_CASE("shdict: a large zone lists its keys in the order in which they came", "[lua][shdict]") {
  DictFixture d(6 << 20);
  std::string expected;
  const auto packed = [](const std::string& key) { return std::string{char(key.size()), 0} + key; };
  for (int i = 0; i < 100; ++i) {
    const std::string key = "key" + std::to_string(i);
    if (i % 10 == 5) {
      d.push(ShmDict::End::left, key, "x");
      d.erase(key);
    }
    d.set_number(key, i);
    expected += packed(key);
  }
  std::string listed;
  CHECK(d.dict->keys(d.now, 0, listed) == 100);
  CHECK(listed == expected);
  listed.clear();
  CHECK(d.dict->keys(d.now, 3, listed) == 3);
  CHECK(listed == packed("key0") + packed("key1") + packed("key2"));
}

TEST_CASE("shdict: what was overwritten in place outlives what was not", "[lua][shdict]") {
  DictFixture d(4 << 20);
  for (int i = 0; i < 8; ++i) {
    d.set_number("n" + std::to_string(i), i);
    d.set_text("s" + std::to_string(i), "some text");
  }
  d.set_text("idle", "some text");
  for (int i = 0; i < 200000; ++i) {
    REQUIRE(d.set_text("filler" + std::to_string(i), "text"));
    if (i % 1000 != 0) continue;
    for (int k = 0; k < 8; ++k) {
      REQUIRE(d.incr("n" + std::to_string(k), 1) != "not found");
      REQUIRE(d.set_text("s" + std::to_string(k), "other text"));
    }
  }
  for (int k = 0; k < 8; ++k) CHECK(d.get("n" + std::to_string(k)) == std::to_string(k + 200));
  CHECK(d.get("idle") == "nil");
}

TEST_CASE("shdict: two dictionaries, one name", "[lua][shdict]") {
  ZoneTable zones;
  ShdictSet set;
  REQUIRE(set.add(zones, "dogs", 65536));
  CHECK(set.add(zones, "dogs", 65536).error().text ==
        "lua_shared_dict \"dogs\" is already defined as \"dogs\"");
  REQUIRE(set.add(zones, "cats", 65536));
  REQUIRE(zones.attach(nullptr));
  CHECK(set.find("cats") == set.at(1));
  CHECK(set.find("cows") == nullptr);

  ShmDict::Reply reply{};
  set.at(0)->store(ShmDict::kSet, "k", {Type::number, 1, {}}, 1, 0, 0, reply);
  ZoneTable next_zones;
  ShdictSet next;
  REQUIRE(next.add(next_zones, "dogs", 65536));
  REQUIRE(next_zones.attach(&zones));
  CHECK(next.at(0)->get("k", 1, false, nullptr, 0, reply) == Outcome::ok);
  CHECK(reply.number == 1);  // a reload keeps the contents
}

namespace {

// What the dictionary should hold, kept the slow way.
struct Model {
  struct Item {
    std::string text;
    std::uint64_t expires;
  };
  std::map<std::string, Item> items;

  std::string get(const std::string& key, std::uint64_t now) const {
    const auto it = items.find(key);
    if (it == items.end() || (it->second.expires != 0 && it->second.expires <= now)) return "nil";
    return it->second.text;
  }
};

void run_against_model(std::size_t zone, int keys, std::size_t max_size, bool may_forget, unsigned seed) {
  DictFixture d(zone);
  Model model;
  std::mt19937 random(seed);
  for (int i = 0; i < 40000; ++i) {
    const std::string key = "key" + std::to_string(random() % keys);
    const std::uint64_t ttl = random() % 3 == 0 ? random() % 50 + 1 : 0;
    const std::uint64_t expires = ttl == 0 ? 0 : d.now + ttl;
    const std::string known = model.get(key, d.now);
    switch (random() % 8) {
      case 0:
      case 1: {
        const std::string text(random() % max_size, static_cast<char>('a' + random() % 26));
        if (d.set_text(key, text, ttl)) {
          model.items[key] = {"'" + text + "'", expires};
        } else {
          REQUIRE(may_forget);
          model.items.erase(key);
        }
        break;
      }
      case 2:
        if (d.set_number(key, i, ttl)) {
          model.items[key] = {std::to_string(i), expires};
        } else {
          REQUIRE(may_forget);
          model.items.erase(key);
        }
        break;
      case 3:
        d.erase(key);
        model.items.erase(key);
        break;
      case 4: {
        const auto outcome = d.store(ShmDict::kAdd, key, {Type::boolean, 1, {}}, ttl);
        if (!may_forget) REQUIRE((outcome == Outcome::ok) == (known == "nil"));
        if (outcome == Outcome::ok) model.items[key] = {"true", expires};
        break;
      }
      case 5:
        d.now += random() % 4;
        break;
      case 6:
        if (known != "nil" && d.dict->expire(key, d.now, ttl)) model.items[key].expires = expires;
        break;
      default: {
        const std::string got = d.get(key);
        if (may_forget && got == "nil") {
          model.items.erase(key);
        } else {
          REQUIRE(got == model.get(key, d.now));
        }
      }
    }
  }
  std::size_t live = 0;
  for (const auto& [key, item] : model.items) live += model.get(key, d.now) != "nil";
  if (!may_forget) CHECK(d.key_count() == live);
  // Nothing leaks: emptied, the zone is as free as it was.
  const std::size_t all = DictFixture(zone).dict->free_space();
  d.dict->flush_all(d.now);
  d.dict->flush_expired(d.now, 0);
  CHECK(d.dict->free_space() == all);
}

}  // namespace

TEST_CASE("shdict: behaves like a map with room to spare", "[lua][shdict]") {
  run_against_model(3 << 20, 500, 2000, false, 1);
  run_against_model(8 << 20, 500, 2000, false, 2);
}

TEST_CASE("shdict: forgets but never lies when memory is short", "[lua][shdict]") {
  run_against_model(64 << 10, 200, 3000, true, 3);
  run_against_model(200 << 10, 30, 9000, true, 4);
  run_against_model(4 << 20, 3000, 9000, true, 5);
}

TEST_CASE("shdict: keys of every length, and those that differ in one byte or in zeros at the end",
          "[lua][shdict]") {
  DictFixture d(8 << 20);
  std::map<std::string, double> expected;
  for (std::size_t size = 1; size <= 40; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      std::string key(size, '\0');
      expected[key] = static_cast<double>(size);
      key[at] = 'x';
      expected[key] = static_cast<double>(1000 * size + at);
    }
  }
  for (const auto& [key, value] : expected) CHECK(d.set_number(key, value));
  for (const auto& [key, value] : expected) {
    CHECK(d.get(key) == std::to_string(static_cast<int>(value)));
    CHECK(d.incr(key, 1) == std::to_string(static_cast<int>(value) + 1));
  }
  CHECK(d.key_count() == expected.size());
}

TEST_CASE("shdict: the short ways write numbers that need nothing else", "[lua][shdict]") {
  DictFixture d(8 << 20);
  const std::string key = GENERATE(as<std::string>{}, "k", "counter", std::string("a\0b", 3),
                                   "sixteen bytes ok", "this is longer than sixteen bytes");
  DictFixture small(1 << 20);  // where there are none
  REQUIRE(small.set_number(key, 5));
  CHECK_FALSE((small.put(key, 1) || small.add(key, 1) != "no"));
  CHECK_FALSE(d.put(key, 1));
  CHECK(d.add(key, 1) == "no");
  CHECK(d.get(key) == "nil");
  REQUIRE(d.set_number(key, 5));
  for (int i = 0; i < 3; ++i) {
    CHECK(d.put(key, 7));
    CHECK(d.add(key, 0.5) == "7.5");
    CHECK(d.get(key) == "7.5");
  }

  SECTION("a time that is set afterwards counts") {
    REQUIRE(d.dict->expire(key, d.now, 10));
    CHECK_FALSE(d.put(key, 1));
    CHECK(d.add(key, 1) == "8.5");
    CHECK(d.add(key, 1) == "9.5");
    d.now += 10;
    CHECK(d.add(key, 1) == "no");
    CHECK(d.get(key) == "nil");
  }
  SECTION("flushed") {
    d.dict->flush_all(d.now);
    CHECK_FALSE(d.put(key, 1));
    CHECK(d.add(key, 1) == "no");
  }
  SECTION("flags stay with incr, and go with set") {
    REQUIRE(d.store(ShmDict::kSet, key, {Type::number, 1, {}}, 0, 3) == Outcome::ok);
    CHECK_FALSE(d.put(key, 2));
    CHECK(d.add(key, 1) == "2");
    CHECK(d.get(key) == "2");
    CHECK(d.reply.flags == 3);
  }
  SECTION("another type") {
    REQUIRE(d.set_text(key, "12345678"));
    CHECK_FALSE(d.put(key, 1));
    CHECK(d.add(key, 1) == "no");
    CHECK(d.get(key) == "'12345678'");
  }
  SECTION("removed, and there again") {
    d.erase(key);
    CHECK_FALSE(d.put(key, 1));
    d.set_text("other", "12345678");
    CHECK(d.add(key, 1) == "no");
    REQUIRE(d.set_number(key, 1));
    CHECK(d.add(key, 1) == "2");
    CHECK(d.get("other") == "'12345678'");
  }
}
