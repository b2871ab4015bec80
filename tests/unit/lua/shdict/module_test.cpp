#include "lua/shdict/module.hpp"

#include <catch2/catch.hpp>

#include "app/modules.hpp"
#include "conf/configuration.hpp"
#include "conf/process_conf.hpp"
#include "http/core_module.hpp"

using namespace mp;

namespace {

struct Loaded {
  explicit Loaded(const std::string& directives) {
    status = configuration.load_text("events {}\nhttp {\n" + directives + "\n}\n");
  }
  std::string error() const { return status ? "" : status.error().text; }

  static const conf::Registry& registry() {
    static const conf::Module* const modules[] = {&app::kProcessModule, &http::kCoreModule,
                                                  &lua::kShdictModule};
    static const conf::Registry r(modules);
    return r;
  }
  conf::Configuration configuration{registry(), {"/etc/sample/", "/etc/sample/main.conf", ""}};
  Status status;
};

}  // namespace

TEST_CASE("lua_shared_dict: errors", "[lua][shdict]") {
  const std::string at = " in /etc/sample/main.conf:3";
  CHECK(Loaded("lua_shared_dict dogs 8191;").error() == "invalid lua shared dict size \"8191\"" + at);
  CHECK(Loaded("lua_shared_dict dogs x;").error() == "invalid lua shared dict size \"x\"" + at);
  CHECK(Loaded("lua_shared_dict \"\" 1m;").error() == "invalid lua shared dict name \"\"" + at);
  CHECK(Loaded("lua_shared_dict a 1m; lua_shared_dict a 1m;").error() ==
        "lua_shared_dict \"a\" is already defined as \"a\"" + at);
  CHECK(Loaded("lua_shared_dict a 1m; lua_shared_dict a 2m;").error() ==
        "the size 2097152 of shared memory zone \"a\" conflicts with already declared size 1048576" + at);
  CHECK(Loaded("lua_shared_dict a;").error() ==
        "invalid number of arguments in \"lua_shared_dict\" directive" + at);
}

TEST_CASE("lua_shared_dict: dictionaries exist once the zones are attached", "[lua][shdict]") {
  Loaded loaded("lua_shared_dict dogs 8k; lua_shared_dict cats 1m;");
  REQUIRE(loaded.error() == "");
  auto& wide = loaded.configuration.root().get<conf::ProcessWide>();
  REQUIRE(wide.zones.attach(nullptr));
  REQUIRE(wide.preparations.size() >= 1);
  const auto& dicts = loaded.configuration.root().get<lua::ShdictConf>().dicts;
  CHECK(dicts.size() == 2);
  CHECK(dicts.at(0)->name() == "dogs");
  CHECK(dicts.at(0)->capacity() == 8192);
  CHECK(dicts.find("cats")->capacity() == 1 << 20);
}
