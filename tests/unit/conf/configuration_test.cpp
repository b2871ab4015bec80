#include "conf/configuration.hpp"

#include <stdexcept>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "sample.hpp"

using namespace mp;
using namespace mp::conf;
using namespace mp::conf::sample;

namespace {

std::string error_of(std::string text, std::string directives = {}) {
  return Loaded(std::move(text), std::move(directives)).error();
}
std::string in(int line) {
  return " in /etc/sample/main.conf:" + std::to_string(line);
}
std::string full_error(std::string text) {
  const Loaded loaded(std::move(text));
  REQUIRE_FALSE(loaded.status);
  return loaded.full();
}

}  // namespace

TEST_CASE("configuration: directives reach the sets of their level", "[conf]") {
  const Loaded loaded(R"(
    workers 3;
    events { }
    http {
        format one; format two;
        upstream backend { server 127.0.0.1:80 weight=2; }
        server {
            server_name first;
            text outer;
            location /a { text inner; number 1; }
            location /b { location /b/c { number 2; } }
            if ($x) { flag on; }
            location /i { if ($y = "z") { flag on; } }
        }
        server { location ~ \.php$ { list a; list b; pair k v; } }
    }
    daemon off;)");
  REQUIRE(loaded.error() == "");
  const Sets& root = loaded.configuration.root();
  CHECK(root.get<ProcessConf>().workers == 3);
  CHECK(root.get<ProcessConf>().daemon == false);
  CHECK(root.get<ProcessConf>().finished);
  CHECK(root[Level::events] != nullptr);
  CHECK(root.get<MainConf>().formats->size() == 2);

  CHECK(loaded.location("/a").text.get() == "inner");
  CHECK(loaded.location("/a").number == 1);
  CHECK(loaded.location("/b").text.get() == "outer");
  CHECK(loaded.location("/b").number == 7);
  CHECK(loaded.location("/b/c").text.get() == "outer");
  CHECK(loaded.location("/b/c").number == 2);
  CHECK(loaded.location("\\.php$").text.get() == "default");
  CHECK(loaded.location("\\.php$").list->size() == 2);

  const auto& upstreams = loaded.configuration.sets(Level::upstream);
  REQUIRE(upstreams.size() == 1);
  CHECK(upstreams[0]->get<UpstreamConf>().server.get() == "127.0.0.1:80");
  CHECK(upstreams[0]->node->arg(0) == "backend");

  // A second module of the same level sees the first one's merged values.
  const auto& locations = loaded.configuration.sets(Level::location);
  CHECK(locations[2]->get<LocationConf>().where == "/a");
  CHECK(locations[2]->get<OtherConf>().text.get() == "inner");
  CHECK(locations[2]->around[Level::server] == loaded.configuration.sets(Level::server)[1]);
  CHECK(locations[2]->parent == locations[1]);
}

TEST_CASE("configuration: order of completion", "[conf]") {
  const Loaded loaded("http { server { server_name s; location /a { location /b { } } } server { } }");
  REQUIRE(loaded.error() == "");
  const std::vector<std::string> expected = {"before", "finish", "server", "server",
                                             "s:",     "s:/a",   "s:/b",   "after"};
  CHECK(loaded.configuration.root().get<MainConf>().steps == expected);
}

TEST_CASE("configuration: inheritance keeps what is set", "[conf]") {
  const Loaded loaded(R"(http {
      flag on; list a; list b; size 1k;
      server {
          flag off;
          location /a { list c; }
          location /b { flag on; next timeout http_500; }
      } })");
  REQUIRE(loaded.error() == "");
  CHECK_FALSE(loaded.location("/a").flag);
  CHECK(loaded.location("/b").flag);
  CHECK(loaded.location("/a").list->size() == 1);
  CHECK(loaded.location("/b").list->size() == 2);
  CHECK(loaded.location("/b").size == 1024u);
  CHECK(loaded.location("/b").size.is_set());
  CHECK_FALSE(loaded.location("/b").msec.is_set());
  CHECK(loaded.location("/b").msec == 60000);
  CHECK(loaded.location("/b").bits == 6u);
  CHECK(loaded.location("/a").bits == 1u);
}

TEST_CASE("configuration: blocks that set nothing share what is around them", "[conf]") {
  const Loaded loaded(R"(http {
      server { location /a { quiet x; plain y; location /a/b { } } location /c { } }
      server { if ($x) { flag on; } }
      server { quiet z; location /d { } }
      server { location /e { } }
  })");
  REQUIRE(loaded.error() == "");
  const auto& sets = loaded.configuration.sets(Level::location);
  REQUIRE(sets.size() == 11);
  const auto set = [&](const char* name) {
    for (ConfSet* s : sets) {
      if (s->get<LocationConf>().where == name) return s;
    }
    throw std::out_of_range(name);
  };
  // Nothing set here nor around: one object, completed once.
  QuietConf* const untouched = &set("/c")->get<QuietConf>();
  CHECK(untouched != &sets[0]->get<QuietConf>());
  CHECK(untouched == &set("/e")->get<QuietConf>());
  CHECK(untouched == &set("if")->get<QuietConf>());
  CHECK(untouched->text.get() == "default");
  CHECK(untouched->merged == 1);
  CHECK(untouched->finished == 1);
  // Set here: an object of its own, and those inside share it.
  CHECK(set("/a")->get<QuietConf>().text.get() == "x");
  CHECK(&set("/a")->get<QuietConf>() == &set("/a/b")->get<QuietConf>());
  CHECK(set("/a")->get<QuietConf>().merged == 1);
  CHECK(set("/d")->get<QuietConf>().text.get() == "z");
  CHECK(&set("/d")->get<QuietConf>() == &set("/d")->parent->get<QuietConf>());
  // What is not inherited is shared only by those that have none.
  CHECK(set("/a")->get<PlainConf>().text.get() == "y");
  CHECK_FALSE(set("/a/b")->get<PlainConf>().text.is_set());
  CHECK(&set("/a/b")->get<PlainConf>() == &set("/e")->get<PlainConf>());
  // A type that says so is never shared.
  CHECK(&set("/c")->get<OtherConf>() != &set("/c")->parent->get<OtherConf>());
}

TEST_CASE("configuration: blocks that a module has nothing to do with are known", "[conf]") {
  const auto untouched = [](const Loaded& loaded, const char* where) {
    for (const ConfSet* set : loaded.configuration.sets(Level::location)) {
      if (const_cast<ConfSet*>(set)->get<LocationConf>().where == where)
        return loaded.configuration.untouched(quiet_module(), *set);
    }
    throw std::out_of_range(where);
  };
  const Loaded inner("http { server { location /a { quiet x; location /a/b { } } location /c { } } }");
  REQUIRE(inner.error() == "");
  CHECK_FALSE(untouched(inner, "/a"));
  CHECK_FALSE(untouched(inner, "/a/b"));
  CHECK(untouched(inner, "/c"));
  const Loaded plain("http { server { location /a { plain x; location /a/b { } } } }");
  CHECK_FALSE(untouched(plain, "/a"));
  CHECK(untouched(plain, "/a/b"));
  const Loaded outer("http { quiet x; server { location /a { } } }");
  CHECK_FALSE(untouched(outer, "/a"));
  const Loaded server("http { server { quiet x; location /a { } } server { location /c { } } }");
  CHECK_FALSE(untouched(server, "/a"));
  CHECK(untouched(server, "/c"));
}

TEST_CASE("configuration: -g directives come first", "[conf]") {
  const Loaded loaded("http { }", "daemon off; workers 2;");
  REQUIRE(loaded.error() == "");
  CHECK(loaded.configuration.root().get<ProcessConf>().workers == 2);
  CHECK(error_of("daemon on;", "daemon off;") == "\"daemon\" directive is duplicate" + in(1));
  CHECK(error_of("", "daemon off") == "unexpected end of parameter, expecting \";\" in command line");
  CHECK(error_of("", "http {}") == "block directives are not supported in -g option in command line");
  CHECK(error_of("", "bad 1;") == "unknown directive \"bad\" in command line");
  CHECK(error_of("", "workers x;") == "\"workers\" directive invalid number in command line");
}

TEST_CASE("configuration: shape and place of directives", "[conf]") {
  CHECK(error_of("http {\n bad\n x; }") == "unknown directive \"bad\"" + in(3));
  CHECK(error_of("server { }") == "\"server\" directive is not allowed here" + in(1));
  CHECK(error_of("http { daemon on; }") == "\"daemon\" directive is not allowed here" + in(1));
  CHECK(error_of("http { server { if (x) { list a; } } }") ==
        "\"list\" directive is not allowed here" + in(1));
  CHECK(error_of("daemon on { }") == "directive \"daemon\" is not terminated by \";\"" + in(1));
  CHECK(error_of("http on;") == "directive \"http\" has no opening \"{\"" + in(1));
  CHECK(error_of("http x { }") == "invalid number of arguments in \"http\" directive" + in(1));
  CHECK(error_of("daemon;") == "invalid number of arguments in \"daemon\" directive" + in(1));
  CHECK(error_of("daemon on\n on;") == "invalid number of arguments in \"daemon\" directive" + in(2));
  CHECK(error_of("http { }\nhttp { }") == "\"http\" directive is duplicate" + in(2));
  CHECK(error_of("include;") == "invalid number of arguments in \"include\" directive" + in(1));
  CHECK(error_of("include x { }") == "directive \"include\" is not terminated by \";\"" + in(1));
  CHECK(error_of("http { one_or_three a b; }") ==
        "invalid number of arguments in \"one_or_three\" directive" + in(1));
  CHECK(error_of("http { one_or_three a; one_or_three a b c; }") == "");
  CHECK(error_of("skipped {\n x") == "unexpected end of file, expecting \";\" or \"}\"" + in(2));
  CHECK(error_of("skipped { x; }") == "");
  CHECK(error_of("broken text;") == "\"broken\" directive is always wrong" + in(1));
  CHECK(error_of("broken here;") == "it is wrong here" + in(1));
  CHECK(error_of("broken errno;") == "open() \"x\" failed (2: No such file or directory)" + in(1));
}

TEST_CASE("configuration: a missing main file", "[conf]") {
  Configuration configuration(registry(),
                              {.prefix = "/nowhere/", .file = "/nowhere/x.conf", .directives = ""});
  const Status status = configuration.load();
  REQUIRE_FALSE(status);
  CHECK(status.error().text == "open() \"/nowhere/x.conf\" failed (2: No such file or directory)");
}

TEST_CASE("configuration: mistakes are told in the order of the file", "[conf]") {
  // The missing brace is known first, but the reader meets the wrong directive first.
  CHECK(error_of("http {\n bad;\n server {\n") == "unknown directive \"bad\"" + in(2));
  CHECK(error_of("http {\n server {\n") == "unexpected end of file, expecting \"}\"" + in(3));
  CHECK(error_of("daemon maybe;\n;") ==
        "invalid value \"maybe\" in \"daemon\" directive, it must be \"on\" or \"off\"" + in(1));
  CHECK(error_of("daemon on;\n;") == "unexpected \";\"" + in(2));
  // An unclosed Lua block swallows the braces behind it, so what follows http {} is taken to be inside.
  CHECK(
      error_of("http {\n server {\n location / {\n content_by_lua_block {\n x()\n }\n }\n }\nevents { }\n") ==
      "\"events\" directive is not allowed here" + in(9));
}

TEST_CASE("configuration: raw blocks hand over their rows", "[conf]") {
  const Loaded loaded(
      "http { server { location / { rows { text/html html htm; 'a b' c; default; ~^x{2} y; } } } }");
  CHECK(loaded.error() == "unexpected \"{\"" + in(1));
  const Loaded good(
      "http { server { location / { rows { text/html html htm; 'a b' c; default; daemon 1 2; } } } }");
  REQUIRE(good.error() == "");
  const std::vector<std::string> rows = {"text/html|html|htm", "a b|c", "default", "daemon|1|2"};
  CHECK(good.location("/").rows == rows);
  CHECK(error_of("http {\n rows {\n a b;\n bad; } }") == "bad row" + in(4));
  CHECK(error_of("http {\n rows {\n a b;\n worse\n c; } }") == "worse value" + in(5));
  CHECK(error_of("http {\n rows {\n a b;\n") == "unexpected end of file, expecting \"}\"" + in(4));
}

TEST_CASE("configuration: Lua blocks", "[conf]") {
  const Loaded loaded("http { server { location / { content_by_lua_block { x = '}' } } } }");
  REQUIRE(loaded.error() == "");
  CHECK(loaded.location("/").lua == " x = '}' ");
  CHECK(error_of("http { server { location / {\n content_by_lua_block { x = [[ }\n } } }") ==
        "Lua code block missing the closing long bracket \"]]\", the inlined Lua code may be too long" +
            in(2));
  CHECK(error_of("http { server { location / {\n content_by_lua_block {\n\n") ==
        "unexpected end of file, expecting terminating characters for lua code block" + in(2));
  CHECK(error_of("http { server { location / { content_by_lua_block 'x'; } } }") ==
        "directive \"content_by_lua_block\" has no opening \"{\"" + in(1));
  CHECK(error_of("http { server { location / { content_by_lua_block x { } } } }") ==
        "invalid number of arguments in \"content_by_lua_block\" directive" + in(1));
}

TEST_CASE("configuration: failures while merging name the block", "[conf]") {
  CHECK(error_of("http {\n server {\n location / {\n text merge-fails; } } }") ==
        "\"location\" directive does not merge" + in(3));
  CHECK(error_of("http {\n server {\n location / {\n text merge-fails-here; } } }") ==
        "text does not merge" + in(3));
  CHECK(error_of("http {\n server {\n location / {\n number 13; } } }") == "number 13" + in(3));
}

TEST_CASE("diagnostics: excerpt, marker and hint", "[conf]") {
  CHECK(full_error("http {\n\tserver {\n\t\tlocaton / { }\n\t}\n}") ==
        "unknown directive \"locaton\"" + in(3) +
            "\n  3 | \t\tlocaton / { }\n    | \t\t^^^^^^^\ndid you mean \"location\"?");
  CHECK(full_error("daemon  'maybe' ;") ==
        "invalid value \"maybe\" in \"daemon\" directive, it must be \"on\" or \"off\"" + in(1) +
            "\n  1 | daemon  'maybe' ;\n    |         ^^^^^^^");
  CHECK(full_error("daemon on\nworkers 1;\n") == "invalid number of arguments in \"daemon\" directive" +
                                                     in(2) +
                                                     "\n  1 | daemon on\n    | ^^^^^^\n"
                                                     "is a \";\" missing at the end of line 1?");
  CHECK(full_error("http {\n flag on\n}\n") ==
        "unexpected \"}\"" + in(3) + "\n  3 | }\n    | ^\nis a \";\" missing at the end of line 2?");
  CHECK(full_error("http {\n server {\n flag on;\n }\n") ==
        "unexpected end of file, expecting \"}\"" + in(5) +
            "\n  1 | http {\n    | ^^^^\nthis block is not closed");
  CHECK(full_error("\nflag on;") ==
        "\"flag\" directive is not allowed here" + in(2) +
            "\n  2 | flag on;\n    | ^^^^\n"
            "it belongs into: http, server, if in server, location, if in location");
  // Long lines are cut around the marker.
  const std::string long_line = full_error(std::string(500, ' ') + "bad " + std::string(500, 'x') + ";");
  CHECK(long_line.size() < 400);
  CHECK(long_line.find("bad xxx") != std::string::npos);
}

TEST_CASE("diagnostics: warnings are kept in order and do not fail", "[conf]") {
  const Loaded loaded("http { next timeout timeout; }");
  REQUIRE(loaded.error() == "");
  REQUIRE(loaded.configuration.diagnostics().size() == 1);
  const Diagnostic& warning = loaded.configuration.diagnostics()[0];
  CHECK(warning.severity == Diagnostic::Severity::warning);
  CHECK(headline(warning, loaded.configuration.sources()) == "duplicate value \"timeout\"" + in(1));
}

TEST_CASE("registry: lookup and suggestions", "[conf]") {
  const Registry& known = registry();
  CHECK(known.find("server").size() == 2);
  CHECK(known.find("nothing").empty());
  CHECK(known.nearest("sevrer_name", Scope::http) == "server_name");
  CHECK(known.nearest("locations", Scope::server) == "location");
  CHECK(known.nearest("location", Scope::main) == "");
  CHECK(known.nearest("incldue", Scope::upstream) == "include");
  CHECK(known.nearest("x", Scope::http) == "");
  CHECK(known.nearest(std::string(1000, 'x'), Scope::http) == "");
  CHECK(describe(kHttpServerLocation) == "http, server, location");
}
