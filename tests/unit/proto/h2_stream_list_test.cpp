#include <map>

#include <catch2/catch.hpp>

#include "proto/h2/stream_list.hpp"
#include "proto/h2/turn_list.hpp"

using mp::proto::H2Stream;
using mp::proto::H2StreamList;

TEST_CASE("streams are found by their numbers, whichever goes first", "[h2]") {
  H2StreamList list;
  std::map<std::uint32_t, H2Stream*> model;
  const auto stream = [](std::uint32_t id) { return reinterpret_cast<H2Stream*>(std::uintptr_t{id} * 8); };
  std::uint32_t next = 1;
  std::uint32_t random = 7;
  for (int i = 0; i < 5000; ++i) {
    random = random * 1664525 + 1013904223;
    if (model.empty() || random >> 28 < 8) {
      list.add(next, stream(next));
      model[next] = stream(next);
      next += 2;
    } else {
      auto at = model.begin();
      std::advance(at, random >> 28 < 13 ? 0 : (random >> 8) % model.size());
      list.remove(at->first);
      model.erase(at);
    }
    REQUIRE(list.size() == model.size());
    REQUIRE(list.empty() == model.empty());
    const std::uint32_t asked = (random >> 4) % (next + 2);
    REQUIRE(list.find(asked) == (model.count(asked) != 0 ? model[asked] : nullptr));
    list.remove(next + 2);
  }
  std::size_t seen = 0;
  for (const H2StreamList::Entry& entry : list) REQUIRE(model.at(entry.id) == (++seen, entry.stream));
  CHECK(seen == model.size());
}

TEST_CASE("turns come in their order, whoever leaves", "[h2]") {
  mp::proto::H2TurnList list;
  mp::proto::H2TurnList other;
  mp::proto::H2Turn turns[4];
  CHECK(list.empty());
  for (mp::proto::H2Turn& turn : turns) list.push(turn);
  turns[0].leave();
  turns[2].leave();
  turns[2].leave();
  CHECK_FALSE(turns[2].waits());
  CHECK(turns[3].waits());
  list.push(turns[0]);
  CHECK(&list.pop() == &turns[1]);
  other.push(turns[1]);
  CHECK(&list.pop() == &turns[3]);
  CHECK_FALSE(turns[3].waits());
  CHECK(&list.pop() == &turns[0]);
  CHECK(list.empty());
  CHECK(&other.pop() == &turns[1]);
  CHECK(other.empty());
}
