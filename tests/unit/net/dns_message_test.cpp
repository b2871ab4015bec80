#include "net/dns_message.hpp"

#include <string>

#include <catch2/catch.hpp>

using namespace mp;
using namespace mp::net;
using namespace mp::net::dns;

namespace {

using namespace std::literals;

std::string query(std::string_view name, Type type = Type::a, std::uint16_t id = 0x1234) {
  char out[kMaxQuery];
  const auto size = write_query(std::span<char, kMaxQuery>(out), id, name, type);
  return size ? std::string(out, *size) : "(refused)";
}

std::string u16(unsigned value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value)};
}

// A response to a query for a.b; `answers` of them follow in `data`.
std::string response(Type type, unsigned answers, const std::string& data, unsigned flags = 0x8180,
                     unsigned questions = 1) {
  return u16(0x1234) + u16(flags) + u16(questions) + u16(answers) + u16(0) + u16(0) + "\1A\1b\0"s +
         u16(static_cast<unsigned>(type)) + u16(1) + data;
}

std::string record(const std::string& owner, unsigned type, const std::string& data,
                   const std::string& ttl = "\0\0\1\0"s, unsigned net_class = 1) {
  return owner + u16(type) + u16(net_class) + ttl + u16(static_cast<unsigned>(data.size())) + data;
}

const std::string kOwner = "\xc0\x0c";

std::string error_of(const std::string& message, bool tcp = false) {
  auto parsed = Response::parse(message, tcp);
  if (!parsed) return parsed.error().text;
  Record item;
  while (true) {
    const auto more = parsed->next(item);
    if (!more) return more.error().text;
    if (!*more) return "";
  }
}

}  // namespace

TEST_CASE("dns: queries", "[net][dns]") {
  CHECK(query("www.Example.com") ==
        "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\3www\7Example\3com\0\x00\x01\x00\x01"s);
  CHECK(query("a.b.", Type::srv) ==
        "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\1a\1b\0\x00\x21\x00\x01"s);
  CHECK(query(std::string(63, 'x') + ".y").size() == 12 + 64 + 2 + 1 + 4);
  const std::string label = std::string(62, 'x') + ".";
  CHECK(query(label + label + label + label + "y").size() == kMaxQuery);
  for (const std::string& bad : {""s, "."s, ".."s, "a..b"s, ".a"s, "a.."s, std::string(64, 'x'),
                                 label + label + label + label + "yy"}) {
    CAPTURE(bad);
    CHECK(query(bad) == "(refused)");
  }
}

TEST_CASE("dns: reverse names", "[net][dns]") {
  char out[kMaxReverseName];
  const auto name = [&](std::string_view text) {
    return std::string(reverse_name(std::span<char, kMaxReverseName>(out), *parse_ip(text)));
  };
  CHECK(name("1.2.3.254") == "254.3.2.1.in-addr.arpa");
  CHECK(name("2001:db8::12") == "2.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
}

TEST_CASE("dns: addresses", "[net][dns]") {
  const std::string message =
      response(Type::a, 3,
               record(kOwner, 5, "\1c\xc0\x0e"s) + record("\1c\xc0\x0e", 1, "\1\2\3\4") +
                   record("\1c\xc0\x0e", 1, "\1\2\3\5", "\xff\0\0\0"s));
  auto parsed = Response::parse(message, false);
  REQUIRE(parsed);
  CHECK(parsed->id() == 0x1234);
  CHECK(parsed->code() == 0);
  CHECK_FALSE(parsed->truncated());
  CHECK(parsed->name().text() == "a.b");
  CHECK(parsed->type() == Type::a);
  CHECK(parsed->answers() == 3);
  Record item;
  REQUIRE(parsed->next(item).value());
  CHECK(item.type == Type::cname);
  CHECK(item.owner.text() == "a.b");
  CHECK(item.target.text() == "c.b");
  CHECK(item.ttl == 256);
  REQUIRE(parsed->next(item).value());
  CHECK(item.owner.text() == "c.b");
  CHECK(item.address.text() == "1.2.3.4");
  REQUIRE(parsed->next(item).value());
  CHECK(item.address.text() == "1.2.3.5");
  CHECK(item.ttl == 0);
  CHECK_FALSE(parsed->next(item).value());
}

TEST_CASE("dns: other records", "[net][dns]") {
  const std::string v6 = "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\1";
  const std::string message =
      response(Type::aaaa, 4,
               record(kOwner, 28, v6) + record(kOwner, 33, "\0\1\0\2\x1f\x90\4host\xc0\x0c"s) +
                   record(kOwner, 12, "\3PTR\0"s) + record(kOwner, 46, "whatever"));
  auto parsed = Response::parse(message, true);
  REQUIRE(parsed);
  Record item;
  REQUIRE(parsed->next(item).value());
  CHECK(item.address.text() == "2001:db8::1");
  REQUIRE(parsed->next(item).value());
  CHECK(item.type == Type::srv);
  CHECK(item.priority == 1);
  CHECK(item.weight == 2);
  CHECK(item.port == 8080);
  CHECK(item.target.text() == "host.a.b");
  CHECK_FALSE(item.address.specified());
  REQUIRE(parsed->next(item).value());
  CHECK(item.target.text() == "ptr");
  REQUIRE(parsed->next(item).value());
  CHECK(static_cast<unsigned>(item.type) == 46);
  CHECK_FALSE(parsed->next(item).value());
}

TEST_CASE("dns: error codes", "[net][dns]") {
  auto missing = Response::parse(response(Type::a, 0, "", 0x8183), false);
  REQUIRE(missing);
  CHECK(missing->code() == kHostNotFound);
  CHECK(code_text(missing->code()) == "Host not found");
  CHECK(missing->has_question());
  auto refused = Response::parse(u16(7) + u16(0x8189) + u16(0) + u16(0) + u16(0) + u16(0), false);
  REQUIRE(refused);
  CHECK_FALSE(refused->has_question());
  CHECK(code_text(refused->code()) == "Unknown error");
  CHECK(code_text(kTimedOut) == "Operation timed out");
  CHECK(code_text(0) == "Unknown error");
}

TEST_CASE("dns: truncated responses end without an error over UDP only", "[net][dns]") {
  const std::string cut = response(Type::a, 2, record(kOwner, 1, "\1\2\3\4") + "\xc0", 0x8380);
  CHECK(error_of(cut).empty());
  CHECK(Response::parse(cut, false)->truncated());
  CHECK(error_of(cut, true) == "invalid TCP DNS response 4660 fl:8380");
}

TEST_CASE("dns: malformed messages", "[net][dns]") {
  struct Row {
    std::string message;
    const char* error;
  };
  std::string loop = response(Type::a, 1, record("\xc0\x15", 1, "\1\2\3\4"));
  const std::string long_label = "\x3f" + std::string(63, 'x');
  const Row rows[] = {
      {"", "short DNS response"},
      {"\x12\x34\x81\x80\0\1\0\0\0\0\0"s, "short DNS response"},
      {query("a.b"), "invalid UDP DNS response 4660 fl:0100"},
      {response(Type::a, 0, "", 0x9180), "invalid UDP DNS response 4660 fl:9180"},
      {response(Type::a, 0, "", 0x8180, 2), "invalid number of questions in DNS response"},
      {u16(1) + u16(0x8180) + u16(1) + u16(0) + u16(0) + u16(0) + "\0\0\1\0\1"s,
       "zero-length domain name in DNS response"},
      {u16(1) + u16(0x8180) + u16(1) + u16(0) + u16(0) + u16(0) + "\1a\0\0\1\0\2"s,
       "unknown query class 2 in DNS response"},
      {u16(1) + u16(0x8180) + u16(1) + u16(0) + u16(0) + u16(0) + "\xc0\x0c\0\1\0\1"s,
       "compression pointers loop in DNS response"},
      {loop, "compression pointers loop in DNS response"},
      {response(Type::a, 1, record("\xc0\xff", 1, "\1\2\3\4")), "compression pointers loop in DNS response"},
      {response(Type::a, 1, record("\xc0\x04", 1, "\1\2\3\4")), "name is out of DNS response"},
      {response(Type::a, 1, record("\x40x", 1, "\1\2\3\4")), "invalid label type in DNS response"},
      {response(Type::a, 1, record("\1.\0"s, 1, "\1\2\3\4")), "invalid name in DNS response"},
      {response(Type::a, 1, record("\1\0\0"s, 1, "\1\2\3\4")), "invalid name in DNS response"},
      {response(Type::a, 1, record(long_label + long_label + long_label + long_label + "\0"s, 1, "\1\2\3\4")),
       "invalid name in DNS response"},
      {response(Type::a, 1, record(kOwner, 1, "\1\2\3")), "invalid A record in DNS response"},
      {response(Type::aaaa, 1, record(kOwner, 28, "\1\2\3\4")), "invalid AAAA record in DNS response"},
      {response(Type::a, 1, record(kOwner, 1, "\1\2\3\4", "\0\0\0\1"s, 3)),
       "unexpected RR class 3 in DNS response"},
      {response(Type::a, 2, record(kOwner, 1, "\1\2\3\4")), "short DNS response"},
      {response(Type::a, 1, record(kOwner, 1, "\1\2\3\4").substr(0, 14)), "short DNS response"},
      {response(Type::a, 1, record(kOwner, 5, "\1c\0 "s)), "short DNS response"},
      {response(Type::a, 1, record(kOwner, 5, "\1c")), "short DNS response"},
      {response(Type::srv, 1, record(kOwner, 33, "\0\1\0\2")), "short DNS response"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.error, row.message);
    CHECK(error_of(row.message) == row.error);
  }
}
