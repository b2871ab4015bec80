// The tables behind map, geo, split_clients and realip.
#include <catch2/catch.hpp>

#include "http/forwarded.hpp"
#include "http/headers.hpp"
#include "http/host_table.hpp"
#include "http/network_table.hpp"

using namespace mp;
using namespace mp::http;

namespace {

net::Address ip(std::string_view text) {
  return net::parse_ip(text).value();
}
net::Cidr cidr(std::string_view text) {
  return net::parse_cidr(text)->block;
}
std::string at(const HostTable<std::string>& table, std::string_view host) {
  const std::string* found = table.find(host);
  return found != nullptr ? *found : "-";
}

}  // namespace

TEST_CASE("host table: exact before suffix before prefix, the longest first") {
  HostTable<std::string> t;
  CHECK(t.add("a.test", "exact") == HostEntry::added);
  CHECK(t.add("*.test", "suffix") == HostEntry::added);
  CHECK(t.add("*.b.test", "longer") == HostEntry::added);
  CHECK(t.add(".dot.org", "dot") == HostEntry::added);
  CHECK(t.add("www.*", "prefix") == HostEntry::added);
  CHECK(t.add("www.x.*", "longer prefix") == HostEntry::added);
  CHECK(at(t, "A.Test") == "exact");
  CHECK(at(t, "c.test") == "suffix");
  CHECK(at(t, "x.b.test") == "longer");
  CHECK(at(t, "b.test") == "suffix");
  CHECK(at(t, "dot.org") == "dot");
  CHECK(at(t, "a.b.dot.org") == "dot");
  CHECK(at(t, "www.net") == "prefix");
  CHECK(at(t, "www.x.net") == "longer prefix");
  CHECK(at(t, "www.test") == "suffix");
  CHECK(at(t, "test") == "-");
  CHECK(at(t, ".test") == "-");
  CHECK(at(t, "www.") == "-");
  CHECK(at(t, "") == "-");
  CHECK(at(t, "w") == "-");
}

TEST_CASE("host table: what is refused") {
  HostTable<std::string> t;
  CHECK(t.add("a.test", "1") == HostEntry::added);
  CHECK(t.add("A.TEST", "2") == HostEntry::conflicting);
  CHECK(t.add(".a.test", "2") == HostEntry::conflicting);
  CHECK(t.add("a*.test", "1") == HostEntry::invalid);
  CHECK(t.add("*.a.*", "1") == HostEntry::invalid);
  CHECK(t.add("a..b", "1") == HostEntry::invalid);
  CHECK(t.add("*", "1") == HostEntry::invalid);
  CHECK(t.add_exact("*", "star") == HostEntry::added);
  CHECK(at(t, "*") == "star");
}

TEST_CASE("host table: many names of every length") {
  HostTable<std::string> t;
  const auto name = [](int i) {
    return std::string(static_cast<std::size_t>(i % 70), 'N') + std::to_string(i);
  };
  for (int i = 0; i < 5000; ++i) CHECK(t.add_exact(name(i), std::to_string(i)) == HostEntry::added);
  CHECK(t.add_exact("", "empty") == HostEntry::added);
  for (int i = 0; i < 5000; ++i) {
    CHECK(t.add_exact(name(i), "again") == HostEntry::conflicting);
    std::string small = name(i);
    for (char& c : small) c = c == 'N' ? 'n' : c;
    CHECK(at(t, small) == std::to_string(i));
    CHECK(at(t, small + "x") == "-");
  }
  CHECK(at(t, "") == "empty");
  CHECK(at(t, "n") == "-");
}

TEST_CASE("network table: the longest network wins, deleted ones do not") {
  NetworkTable t;
  CHECK(!t.set(cidr("0.0.0.0/0"), "all"));
  CHECK(!t.set(cidr("10.0.0.0/8"), "ten"));
  CHECK(!t.set(cidr("10.1.2.3/32"), "host"));
  CHECK(!t.set(cidr("2001:db8::/33"), "six"));
  CHECK(t.set(cidr("10.0.0.0/8"), "TEN") == "ten");
  CHECK(t.find(ip("1.2.3.4")) == "all");
  CHECK(t.find(ip("10.1.2.4")) == "TEN");
  CHECK(t.find(ip("10.1.2.3")) == "host");
  CHECK(t.find(ip("::ffff:10.1.2.3")) == "host");
  CHECK(t.find(ip("2001:db8:7fff::1")) == "six");
  CHECK(!t.find(ip("2001:db8:8000::1")));
  CHECK(t.remove(cidr("10.1.2.3/32")));
  CHECK(!t.remove(cidr("10.1.2.3/32")));
  CHECK(t.find(ip("10.1.2.3")) == "TEN");
  CHECK(!t.find(net::Address()));
}

TEST_CASE("range table: later ranges cut earlier ones, overlaps are told") {
  RangeTable t;
  int duplicates = 0, overlaps = 0;
  const auto tell = [&](const RangeTable::Conflict& c) { (c.duplicate ? duplicates : overlaps)++; };
  CHECK(t.add(10, 200000, "wide", tell));
  CHECK(t.add(20, 30, "cut", tell));
  CHECK(t.find(9) == std::nullopt);
  CHECK(t.find(10) == "wide");
  CHECK(t.find(19) == "wide");
  CHECK(t.find(20) == "cut");
  CHECK(t.find(30) == "cut");
  CHECK(t.find(31) == "wide");
  CHECK(t.find(65535) == "wide");
  CHECK(t.find(65536) == "wide");
  CHECK(t.find(200000) == "wide");
  CHECK(t.find(200001) == std::nullopt);
  CHECK(t.add(20, 30, "again", tell));
  CHECK(duplicates == 1);
  CHECK(t.find(25) == "again");
  CHECK(!t.add(25, 35, "bad", tell));
  CHECK(overlaps == 1);
  CHECK(t.remove(20, 30));
  CHECK(t.find(25) == std::nullopt);
  CHECK(!t.remove(20, 30));
  CHECK(t.add(0xffff0000, 0xffffffff, "top", tell));
  CHECK(t.find(0xffffffff) == "top");
}

TEST_CASE("forwarded: trusted proxies are followed from the right") {
  const net::Cidr trusted[] = {cidr("127.0.0.0/8"), cidr("10.0.0.0/8")};
  const auto follow = [&](std::string_view list, bool recursive) {
    net::Address a = ip("127.0.0.1");
    const Forwarded how = follow_forwarded(a, list, trusted, recursive);
    return (how == Forwarded::unchanged ? "u " : how == Forwarded::partly ? "p " : "c ") + a.text_with_port();
  };
  CHECK(follow("192.0.2.1", false) == "c 192.0.2.1:0");
  CHECK(follow("192.0.2.1, 10.1.1.1 ,", false) == "c 10.1.1.1:0");
  CHECK(follow("203.0.113.9, 192.0.2.1, 10.1.1.1", true) == "p 192.0.2.1:0");
  CHECK(follow("10.2.2.2,10.1.1.1", true) == "c 10.2.2.2:0");
  CHECK(follow("nonsense, 10.1.1.1", true) == "p 10.1.1.1:0");
  CHECK(follow("[2001:db8::1]:81", true) == "c [2001:db8::1]:81");
  CHECK(follow("", true) == "u 127.0.0.1:0");
  CHECK(follow(" , ", true) == "u 127.0.0.1:0");
  CHECK(follow("x", true) == "u 127.0.0.1:0");
  net::Address other = ip("192.0.2.1");
  CHECK(follow_forwarded(other, "1.1.1.1", trusted, true) == Forwarded::unchanged);
}

TEST_CASE("forwarded: the last field comes first") {
  const net::Cidr trusted[] = {cidr("127.0.0.0/8"), cidr("10.0.0.0/8")};
  Arena arena;
  Headers headers(arena);
  headers.add("X-Forwarded-For", "192.0.2.1");
  headers.add("Other", "10.9.9.9");
  headers.add("x-forwarded-for", "10.1.1.1");
  net::Address a = ip("127.0.0.1");
  CHECK(follow_forwarded_fields(a, headers, "X-Forwarded-For", trusted, false) == Forwarded::complete);
  CHECK(a.text() == "10.1.1.1");
  a = ip("127.0.0.1");
  CHECK(follow_forwarded_fields(a, headers, "X-Forwarded-For", trusted, true) == Forwarded::complete);
  CHECK(a.text() == "192.0.2.1");
}
