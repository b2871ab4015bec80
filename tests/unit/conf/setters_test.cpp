#include "conf/setters.hpp"

#include <string>

#include <catch2/catch.hpp>

#include "sample.hpp"

using namespace mp;
using namespace mp::conf;
using namespace mp::conf::sample;

namespace {

// Sets one directive in a location.
struct One : Loaded {
  explicit One(const std::string& directive)
      : Loaded("http { server { location / {\n" + directive + "\n} } }") {}
  LocationConf& conf() const {
    REQUIRE(error() == "");
    return location("/");
  }
};

// The error of a directive, without its place.
std::string refused(const std::string& directive) {
  const std::string text = One(directive).error();
  const std::string where = " in /etc/sample/main.conf:2";
  if (!text.ends_with(where)) return "[" + text + "]";
  return text.substr(0, text.size() - where.size());
}

std::string invalid(const std::string& name) {
  return "\"" + name + "\" directive invalid value";
}

}  // namespace

TEST_CASE("setters: flags", "[conf]") {
  CHECK(One("flag on;").conf().flag == true);
  CHECK(One("flag OFF;").conf().flag == false);
  CHECK(One("flag off;").conf().flag.is_set());
  CHECK(refused("flag maybe;") ==
        "invalid value \"maybe\" in \"flag\" directive, it must be \"on\" or \"off\"");
  CHECK(refused("flag '';") == "invalid value \"\" in \"flag\" directive, it must be \"on\" or \"off\"");
  CHECK(refused("flag on; flag off;") == "\"flag\" directive is duplicate");
}

TEST_CASE("setters: numbers", "[conf]") {
  CHECK(One("number 0;").conf().number == 0);
  CHECK(One("number 9223372036854775807;").conf().number == 9223372036854775807);
  for (const char* bad : {"9223372036854775808", "-1", "1k", "''", "' 1'", "0x1", "+1"}) {
    CAPTURE(bad);
    CHECK(refused("number " + std::string(bad) + ";") == "\"number\" directive invalid number");
  }
  CHECK(One("level 9;").conf().level == 9);
  CHECK(refused("level 0;") == "value must be between 1 and 9");
  CHECK(refused("level 10;") == "value must be between 1 and 9");
  CHECK(refused("level 4294967297;") == "\"level\" directive invalid number");
  CHECK(refused("msec 99ms;") == "value must be equal to or greater than 100");
}

TEST_CASE("setters: sizes and offsets", "[conf]") {
  CHECK(One("size 512;").conf().size == 512u);
  CHECK(One("size 8k;").conf().size == 8192u);
  CHECK(One("size 1M;").conf().size == 1048576u);
  CHECK(One("size 9223372036854775807;").conf().size == 9223372036854775807u);
  CHECK(One("size 9007199254740991k;").conf().size == 9223372036854774784u);
  for (const char* bad :
       {"", "k", "1g", "1kk", "1 k", "-1", "1.5k", "9223372036854775808", "9007199254740992k"}) {
    CAPTURE(bad);
    CHECK(refused("size '" + std::string(bad) + "';") == invalid("size"));
  }
  CHECK(One("offset 1g;").conf().offset == 1073741824);
  CHECK(One("offset 8589934591G;").conf().offset == 9223372035781033984);
  CHECK(refused("offset 8589934592g;") == invalid("offset"));
  CHECK(refused("offset g;") == invalid("offset"));
}

TEST_CASE("setters: times", "[conf]") {
  const auto msec = [](const std::string& text) {
    return One("msec '" + text + "';").conf().msec.get().value;
  };
  CHECK(msec("1") == 1000);
  CHECK(msec("500ms") == 500);
  CHECK(msec("1h30m") == 5400000);
  CHECK(msec("1h 30m") == 5400000);
  CHECK(msec("1h 30m 15s 250ms") == 5415250);
  CHECK(msec("1m 30") == 90000);
  CHECK(msec("1s 1") == 2000);  // a last number without a unit is seconds
  CHECK(msec("1w2d") == 777600000);
  CHECK(msec("9223372036854775s") == 9223372036854775000);
  CHECK(msec("9223372036854775") == 9223372036854775000);
  for (const char* bad : {"", "s", "1y", "1M", "30m 1h", "1h1h", "1.5s", "1x", "-1", "1ms 1s",
                          "9223372036854776s", "9223372036854776", "99999999999999999999", "106751991168d"}) {
    CAPTURE(bad);
    CHECK(refused("msec '" + std::string(bad) + "';") == invalid("msec"));
  }
  const auto sec = [](const std::string& text) { return One("sec '" + text + "';").conf().sec.get().value; };
  CHECK(sec("30") == 30);
  CHECK(sec("1y") == 31536000);
  CHECK(sec("1M") == 2592000);
  CHECK(sec("1y 1M 1w 1d 1h 1m 1s") == 31536000 + 2592000 + 604800 + 86400 + 3600 + 60 + 1);
  CHECK(refused("sec 1ms;") == invalid("sec"));
  CHECK(refused("sec 1M1y;") == invalid("sec"));
  CHECK(refused("sec 292471208678y;") == invalid("sec"));
}

TEST_CASE("setters: buffers and access", "[conf]") {
  const One bufs("bufs 8 4k;");
  CHECK((bufs.conf().bufs->count == 8 && bufs.conf().bufs->size == 4096));
  CHECK(refused("bufs 0 4k;") == invalid("bufs"));
  CHECK(refused("bufs 8 0;") == invalid("bufs"));
  CHECK(refused("bufs x 4k;") == invalid("bufs"));

  CHECK(One("access user:rw group:rw all:r;").conf().access == 0664u);
  CHECK(One("access group:r;").conf().access == 0640u);
  CHECK(One("access user:r;").conf().access == 0400u);
  CHECK(refused("access user:x;") == "invalid value \"user:x\"");
  CHECK(refused("access all:rw other:r;") == "invalid value \"other:r\"");
  CHECK(refused("access user;") == "invalid value \"user\"");
}

TEST_CASE("setters: paths", "[conf]") {
  CHECK(One("path html;").conf().path->text == "/srv/sample/html");
  CHECK(One("path /html;").conf().path->text == "/html");
  CHECK(One("path '';").conf().path->text == "");
  CHECK(One("conf_path cert.pem;").conf().conf_path->text == "/etc/sample/cert.pem");

  const One levels("temp_path tmp/ 1 2 3;");
  CHECK(levels.conf().levels->path == "/srv/sample/tmp");
  CHECK((levels.conf().levels->levels[0] == 1 && levels.conf().levels->levels[2] == 3));
  CHECK(levels.conf().levels->depth_length() == 9);
  CHECK(One("temp_path /t;").conf().levels->depth_length() == 0);
  CHECK(refused("temp_path t 0;") == invalid("temp_path"));
  CHECK(refused("temp_path t 5 6;") == invalid("temp_path"));
  CHECK(refused("temp_path t x;") == invalid("temp_path"));
}

TEST_CASE("setters: lists and names", "[conf]") {
  const One list("list a; list b; list c; list d; list e;");
  CHECK(list.conf().list->size() == 5);
  CHECK(list.conf().list.get()[4] == "e");
  const One pairs("pair a 1; pair b 2;");
  CHECK(pairs.conf().pairs->back().value == "2");

  CHECK(One("satisfy ANY;").conf().satisfy.get() == Satisfy::any);
  CHECK(refused("satisfy some;") == "invalid value \"some\"");
  CHECK(refused("satisfy any; satisfy all;") == "\"satisfy\" directive is duplicate");
  CHECK(One("next error; next http_500;").conf().bits == 5u);
  CHECK(refused("next error off;") == "invalid value \"off\"");
}

TEST_CASE("lists: copies share elements without writing to them", "[conf]") {
  Arena arena;
  StringList first;
  first.push(arena, "a");
  StringList copy = first;
  first.push(arena, "b");
  copy.push(arena, "c");
  CHECK(first.size() == 2);
  CHECK(first[1] == "b");
  CHECK(copy[1] == "c");
}
