#include <string>

#include <catch2/catch.hpp>

#include "proto/h2/request_head.hpp"

using mp::Arena;
using mp::proto::H2HeadOptions;
using mp::proto::H2RequestHead;

namespace {

struct Head {
  Arena arena;
  H2RequestHead head;
  explicit Head(const H2HeadOptions& options = {}) : head(arena, options) {}

  Head& add(std::string_view name, std::string_view value) {
    head.add(name, value);
    return *this;
  }
  Head& get(std::string_view path = "/") {
    return add(":method", "GET").add(":scheme", "http").add(":path", path).add(":authority", "a.test");
  }
  int finish(bool ended = true) {
    head.finish(ended);
    return head.error().status;
  }
};

}  // namespace

TEST_CASE("the last host of an HTTP/2 connection is found again", "[h2]") {
  mp::proto::H2LastHost last;
  const auto host_of = [&](std::string_view authority) -> std::string {
    Arena arena;
    H2RequestHead head(arena, {}, &last);
    head.add(":authority", authority);
    return head.host ? std::string(head.host->name) + "/" + std::to_string(head.host->port) : "none";
  };
  CHECK(host_of("a.test:80") == "a.test/80");
  CHECK(last.find("a.test:80").has_value());
  CHECK(host_of("a.test:80") == "a.test/80");
  CHECK(host_of("a.test:8") == "a.test/8");
  CHECK(host_of("a.test.:8") == "a.test/8");
  CHECK(host_of("a.test.:8") == "a.test/8");
  CHECK(host_of("A.test") == "a.test/0");
  CHECK_FALSE(last.find("A.test").has_value());
  CHECK(host_of("a/b") == "none");
  CHECK(host_of("a.test") == "a.test/0");
  const std::string longest(64, 'a');
  CHECK(host_of(longest) == longest + "/0");
  CHECK(last.find(longest).has_value());
  CHECK(host_of(longest + "a") == longest + "a/0");
  CHECK_FALSE(last.find(longest + "a").has_value());
  CHECK_FALSE(last.find("").has_value());
}

TEST_CASE("an HTTP/2 request line is put together", "[h2]") {
  Head h;
  REQUIRE(h.get("/a?b").finish() == 0);
  CHECK(h.head.request_line == "GET /a?b HTTP/2.0");
  CHECK(h.head.host->name == "a.test");
  CHECK(h.head.fields.value(mp::http::HeaderId::host) == "a.test");
}

TEST_CASE("cookies that were cut into fields are one field", "[h2]") {
  Head h;
  h.get().add("cookie", "a=1").add("x", "y").add("cookie", "b=2");
  REQUIRE(h.finish() == 0);
  CHECK(h.head.fields.value(mp::http::HeaderId::cookie) == "a=1; b=2");
}

TEST_CASE("names in capitals, controls and blanks at the ends are refused", "[h2]") {
  CHECK(Head().get().add("X-A", "b").finish() == 400);
  CHECK(Head().get().add("x a", "b").finish() == 400);
  CHECK(Head().get().add("", "b").finish() == 400);
  CHECK(Head().get().add("x-a", "b\r\nc: d").finish() == 400);
  CHECK(Head().get().add("x-a", std::string_view("b\0c", 3)).finish() == 400);
  CHECK(Head().get().add("x-a", "b ").finish() == 400);
  CHECK(Head().get().add("x-a", "\tb").finish() == 400);
  CHECK(Head().get().add("x-a", "").finish() == 0);
}

TEST_CASE("odd names are left out, or not", "[h2]") {
  Head h;
  REQUIRE(h.get().add("x_a", "b").finish() == 0);
  CHECK(h.head.ignored().size() == 1);
  CHECK(h.head.fields.size() == 1);
  // Whatever else is wrong: what was found in order is not looked at again.
  CHECK_FALSE(Head().head.add("x_a", "b"));
  CHECK_FALSE(Head().get().head.add("x_a", "b"));
  CHECK(Head().head.add("x-a", "b"));
  Head kept({.underscores = true});
  REQUIRE(kept.get().add("x_a", "b").finish() == 0);
  CHECK(kept.head.fields.size() == 2);
}

TEST_CASE("an extended CONNECT needs everything a request has, and a stream that stays open", "[h2]") {
  const auto connect = [](Head& h) -> Head& {
    return h.add(":method", "CONNECT")
        .add(":protocol", "websocket")
        .add(":scheme", "http")
        .add(":path", "/c");
  };
  Head good;
  CHECK(connect(good).add(":authority", "a").finish(false) == 0);
  Head ended;
  CHECK(connect(ended).add(":authority", "a").finish(true) == 400);
  CHECK(Head().get().add(":protocol", "websocket").finish() == 400);
  CHECK(Head().add(":method", "CONNECT").add(":authority", "a:1").finish(false) == 405);
}

TEST_CASE("the declared length and the end of the stream agree", "[h2]") {
  CHECK(Head().get().add("content-length", "0").finish(true) == 0);
  CHECK(Head().get().add("content-length", "5").finish(true) == 400);
  CHECK(Head().get().add("content-length", "5").finish(false) == 0);
  CHECK(Head().get().add("content-length", "5x").finish(false) == 400);
  CHECK(Head().get().add("content-length", "5").add("content-length", "5").finish(false) == 400);
}

TEST_CASE("only so many fields, cookies and what is left out among them", "[h2]") {
  H2HeadOptions options;
  options.max_fields = 3;
  CHECK(Head(options).get().add("a", "").add("cookie", "b").add("c", "").finish() == 0);
  CHECK(Head(options).get().add("a", "").add("cookie", "b").add("c", "").add("cookie", "d").finish() == 494);
  CHECK(Head(options).get().add("a", "").add("_", "").add("_", "").finish() == 0);
  CHECK(Head(options).get().add("_", "").add("_", "").add("_", "").add("_", "").finish() == 494);
}
