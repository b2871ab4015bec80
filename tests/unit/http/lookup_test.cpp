// How locations and servers are found by name, against the plainest way to find them.
#include <deque>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "http/location.hpp"
#include "http/server_select.hpp"

using namespace mp::http;

namespace {

struct Names {
  std::deque<std::string> texts;
  std::deque<Location> locations;
  LocationTree tree;

  void add(std::string name, Location::Kind kind = Location::Kind::prefix, bool auto_redirect = false) {
    Location& l = locations.emplace_back();
    l.name = texts.emplace_back(std::move(name));
    l.kind = kind;
    l.auto_redirect = auto_redirect;
  }
  mp::Status build() {
    std::vector<Location*> all;
    for (Location& l : locations) all.push_back(&l);
    return tree.build(std::move(all));
  }

  // The exact one, else the longest that the URI begins with.
  const Location* longest(std::string_view uri) const {
    const Location* best = nullptr;
    for (const Location& l : locations) {
      if (l.kind == Location::Kind::exact && l.name == uri) return &l;
      if (l.kind != Location::Kind::exact && uri.starts_with(l.name) &&
          (best == nullptr || l.name.size() >= best->name.size())) {
        best = &l;
      }
    }
    return best;
  }
};

}  // namespace

TEST_CASE("lookup: the longest prefix, among names of every shape", "[http]") {
  Names names;
  std::mt19937 random(4711);
  std::set<std::string> taken;
  const auto text = [&] {
    static constexpr std::string_view kBytes =
        "/abcdefghijklmnopqrstuvwxyz";  // more than a node has in place
    std::string out = "/";
    const std::size_t size = random() % 4 == 0 ? 40 : random() % 6;
    while (out.size() < size) out += kBytes[random() % (random() % 3 == 0 ? kBytes.size() : 3)];
    return out;
  };
  for (int i = 0; i < 600; ++i) {
    const std::string name = text();
    if (!taken.insert(name).second) continue;
    names.add(name, random() % 3 == 0 ? Location::Kind::exact : Location::Kind::prefix);
  }
  REQUIRE(names.build());
  for (const std::string& name : names.texts) {
    for (const std::string& uri :
         {name, name + "x", name.substr(0, name.size() / 2), name + text(), text()}) {
      INFO(uri);
      const LocationTree::Match match = names.tree.find_prefix(uri);
      CHECK(match.location == names.longest(uri));
      CHECK(match.exact == (match.location != nullptr && match.location->kind == Location::Kind::exact));
    }
  }
}

TEST_CASE("lookup: a slash is added where only the name with one exists", "[http]") {
  Names names;
  names.add("/proxied/of/a/long/name/", Location::Kind::prefix, true);
  names.add("/files/", Location::Kind::prefix, false);
  names.add("/both", Location::Kind::prefix);
  names.add("/both/", Location::Kind::prefix, true);
  names.add("/proxied/other", Location::Kind::prefix);
  REQUIRE(names.build());
  const LocationTree::Match added = names.tree.find_prefix("/proxied/of/a/long/name");
  CHECK(added.redirect_slash);
  CHECK(added.location == &names.locations[0]);
  CHECK(names.tree.find_prefix("/files").location == nullptr);
  CHECK_FALSE(names.tree.find_prefix("/both").redirect_slash);
  CHECK(names.tree.find_prefix("/both").location == &names.locations[2]);
  CHECK(names.tree.find_prefix("/both/x").location == &names.locations[3]);
}

TEST_CASE("lookup: exact names, which case tells apart, before prefixes of the same name", "[http]") {
  Names names;
  names.add("/x/", Location::Kind::exact, true);
  names.add("/x/", Location::Kind::prefix);
  names.add("/Case", Location::Kind::exact);
  names.add("/y/", Location::Kind::exact);
  REQUIRE(names.build());
  const auto location = [&](std::string_view uri) { return names.tree.find_prefix(uri).location; };
  CHECK(location("/x/") == &names.locations[0]);
  CHECK(names.tree.find_prefix("/x/").exact);
  CHECK(location("/x/more") == &names.locations[1]);
  CHECK(location("/Case") == &names.locations[2]);
  CHECK(location("/case") == nullptr);
  CHECK(location("/Case/") == nullptr);
  // Of two that have one name the one that adds slashes is taken for it, whichever it is.
  const LocationTree::Match added = names.tree.find_prefix("/x");
  CHECK(added.redirect_slash);
  CHECK(added.location == &names.locations[0]);
  CHECK(location("/y") == nullptr);
}

TEST_CASE("lookup: a name is taken once", "[http]") {
  Names names;
  names.add("/a");
  names.add("/a", Location::Kind::exact);
  CHECK(names.build());
  names.add("/a");
  LocationTree again;
  names.tree = std::move(again);
  CHECK(names.build().error().text == "duplicate location \"/a\"");
}

TEST_CASE("lookup: server names of every length", "[http]") {
  ServerNames names;
  std::deque<Server> servers;
  const auto host = [](int i) { return "h" + std::to_string(i) + std::string(i % 60, 'x') + ".test"; };
  for (int i = 0; i < 500; ++i) REQUIRE(names.add(host(i), &servers.emplace_back()));
  CHECK_FALSE(names.add(host(70), &servers[0]));
  CHECK_FALSE(names.add(host(10), &servers[0]));
  for (int i = 0; i < 500; ++i) {
    CHECK(names.find(host(i), nullptr) == &servers[static_cast<std::size_t>(i)]);
    CHECK(names.find(host(i) + "x", nullptr) == nullptr);
  }
  CHECK(names.find("", nullptr) == nullptr);
  REQUIRE(names.add("", &servers[1]));
  CHECK(names.find("", nullptr) == &servers[1]);
  REQUIRE(names.add("*.wild.test", &servers[2]));
  REQUIRE(names.add("www.*", &servers[3]));
  CHECK(names.find("a.b.wild.test", nullptr) == &servers[2]);
  CHECK(names.find("www.any.where", nullptr) == &servers[3]);
}
