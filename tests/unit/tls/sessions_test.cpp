#include "tls/sessions.hpp"

#include <cstdio>
#include <fstream>
#include <string>

#include <catch2/catch.hpp>

using namespace mp;
using namespace mp::tls;

namespace {

constexpr char kTag = 0;

struct Fixture {
  ZoneTable table;
  SharedSessions* sessions;
  explicit Fixture(std::size_t size = 65536, const ZoneTable* previous = nullptr) {
    Zone* zone = *table.declare("s", size, &kTag);
    SharedSessions::use(*zone);
    REQUIRE(table.attach(previous));
    sessions = zone->owner<SharedSessions>();
  }
  std::string find(const std::string& id, std::int64_t now) {
    char out[SharedSessions::kMaxSession];
    const std::size_t size = sessions->find(id, now, out);
    return {out, size};
  }
};

}  // namespace

TEST_CASE("tls: sessions are found until they expire or are removed", "[tls]") {
  Fixture f;
  CHECK(f.sessions->store("one", "1111", 100, 200));
  CHECK(f.sessions->store("two", "2222", 100, 150));
  CHECK(f.find("one", 199) == "1111");
  CHECK(f.find("one", 200).empty());
  CHECK(f.find("one", 100).empty());  // it went when it was found expired
  CHECK(f.find("two", 149) == "2222");
  f.sessions->remove("two");
  CHECK(f.find("two", 149).empty());
  CHECK(f.sessions->store("two", "again", 100, 150));
  CHECK(f.sessions->store("two", "replaced", 100, 150));
  CHECK(f.find("two", 149) == "replaced");
}

TEST_CASE("tls: the oldest sessions leave when room is needed, whatever their size", "[tls]") {
  Fixture f;
  for (int i = 0; i < 2000; ++i) {
    const std::string id = "id" + std::to_string(i);
    CHECK(f.sessions->store(id, std::string(static_cast<std::size_t>(100 + i * 37 % 3000), 'x'), 100, 1000));
    CHECK_FALSE(f.find(id, 100).empty());
  }
  CHECK(f.find("id0", 100).empty());
}

TEST_CASE("tls: sessions and ticket keys survive a reload", "[tls]") {
  Fixture f;
  f.sessions->store("one", "1111", 100, 200);
  const auto keys = f.sessions->ticket_keys(100, 300);
  Fixture next(65536, &f.table);
  CHECK(next.find("one", 150) == "1111");
  CHECK(std::string(reinterpret_cast<const char*>(next.sessions->ticket_keys(150, 300)[0].name), 16) ==
        std::string(reinterpret_cast<const char*>(keys[0].name), 16));
}

TEST_CASE("tls: ticket keys change, and decrypt for as long as tickets may live", "[tls]") {
  Fixture f;
  auto name = [](const TicketKey& key) { return std::string(reinterpret_cast<const char*>(key.name), 16); };
  const auto first = f.sessions->ticket_keys(1000, 300);
  CHECK(first[1].expires == 0);
  const auto same = f.sessions->ticket_keys(1299, 300);
  CHECK(name(same[0]) == name(first[0]));
  const auto second = f.sessions->ticket_keys(1300, 300);
  CHECK(name(second[0]) != name(first[0]));
  CHECK(name(second[1]) == name(first[0]));
  CHECK(second[1].expires == 1600);
  const auto third = f.sessions->ticket_keys(1600, 300);
  CHECK(name(third[1]) == name(second[0]));
  const auto late = f.sessions->ticket_keys(9000, 300);
  CHECK(late[1].expires == 0);
}

TEST_CASE("tls: key files have 48 or 80 bytes", "[tls]") {
  const std::string path = std::tmpnam(nullptr);
  auto write = [&](std::size_t size) { std::ofstream(path, std::ios::binary) << std::string(size, 'k'); };
  write(48);
  CHECK(SessionCache::read_key(path)->size == 48);
  write(80);
  CHECK(SessionCache::read_key(path)->size == 80);
  write(81);
  CHECK(SessionCache::read_key(path).error().text == "\"" + path + "\" must be 48 or 80 bytes");
  std::remove(path.c_str());
  CHECK(SessionCache::read_key(path).error().text ==
        "open() \"" + path + "\" failed (2: No such file or directory)");
}
