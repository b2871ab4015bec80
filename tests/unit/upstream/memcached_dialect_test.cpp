#include "upstream/memcached/memcached_dialect.hpp"

#include <cstring>
#include <string>

#include <catch2/catch.hpp>

#include "http/connection.hpp"
#include "http/request.hpp"

using namespace mp;
using namespace mp::upstream;

namespace {

class NoConnection final : public http::Connection {
  void input_ready() override {}
};

class NoSink final : public http::Sink {
 public:
  bool send_head(http::Request&, bool) override { return true; }
  bool send_body(http::Request&, const http::Output&) override { return true; }
};

// Feeds an answer in pieces of `step` bytes; the payload, and what came of it.
struct Fed {
  Dialect::Head head = Dialect::Head::need_more;
  Dialect::Body body = Dialect::Body::more;
  int status = 0;
  std::string payload;
  bool keepalive = false;
};

Fed feed(MemcachedCommand::Kind kind, std::string answer, std::size_t step) {
  NoConnection connection;
  NoSink sink;
  http::Request r(connection, sink);
  MemcachedCommand command;
  command.kind = kind;
  command.key = "k";
  MemcachedDialect dialect(command);
  dialect.restart();
  Reply reply(r.arena);
  Fed fed;
  std::size_t have = 0;
  std::size_t consumed = 0;
  while (fed.head == Dialect::Head::need_more && have < answer.size()) {
    have = std::min(have + step, answer.size());
    fed.head = dialect.read_head(r, std::string_view(answer).substr(0, have), reply, consumed);
  }
  if (fed.head != Dialect::Head::complete) return fed;
  fed.status = reply.status;
  std::size_t at = consumed;
  for (bool first = true; fed.body == Dialect::Body::more && (first || at < answer.size()); first = false) {
    const std::size_t end = first ? have : std::min(at + step, answer.size());
    std::string part = answer.substr(at, end - at);
    std::size_t payload = 0;
    fed.body = dialect.decode(r, reply, part.data(), part.size(), payload);
    fed.payload += part.substr(0, payload);
    at = end;
  }
  fed.keepalive = dialect.keepalive();
  return fed;
}

}  // namespace

TEST_CASE("memcached: a value, however it is cut", "[upstream][memcached]") {
  const std::string value = "one\r\nEND\r\ntwo";
  const std::string answer = "VALUE k 3 " + std::to_string(value.size()) + "\r\n" + value + "\r\nEND\r\n";
  for (std::size_t step = 1; step <= answer.size(); ++step) {
    const Fed fed = feed(MemcachedCommand::Kind::value, answer, step);
    CHECK(fed.status == 200);
    CHECK(fed.payload == value);
    CHECK(fed.body == Dialect::Body::done);
    CHECK(fed.keepalive);
  }
}

TEST_CASE("memcached: what follows a value must be its end", "[upstream][memcached]") {
  const Fed fed = feed(MemcachedCommand::Kind::value, "VALUE k 0 1\r\na\r\nVALUE", 100);
  CHECK(fed.payload == "a");
  CHECK(fed.body == Dialect::Body::done);
  CHECK_FALSE(fed.keepalive);
  CHECK_FALSE(feed(MemcachedCommand::Kind::value, "VALUE k 0 1\r\na\r\nEND\r\nmore", 100).keepalive);
}

TEST_CASE("memcached: no value, and answers that are none", "[upstream][memcached]") {
  CHECK(feed(MemcachedCommand::Kind::value, "END\r\n", 1).status == 404);
  for (const char* answer : {"VALUE x 0 1\r\n", "VALUE k 0\r\n", "VALUE k 0 -1\r\n", "ERROR\r\n", "END\n",
                             "VALUE k 0 99999999999999999999\r\n"}) {
    CHECK(feed(MemcachedCommand::Kind::value, answer, 100).head == Dialect::Head::invalid);
  }
}

TEST_CASE("memcached: answers in a line", "[upstream][memcached]") {
  const std::pair<const char*, int> rows[] = {
      {"STORED\r\n", 201}, {"NOT_STORED\r\n", 200},  {"DELETED\r\n", 200}, {"OK\r\n", 200},   {"17\r\n", 201},
      {"9 \r\n", 201},     {"VERSION 1.6\r\n", 200}, {"ERROR\r\n", 502},   {"what\r\n", 502},
  };
  for (const auto& [answer, status] : rows) {
    for (std::size_t step : {1u, 3u, 100u}) {
      const Fed fed = feed(MemcachedCommand::Kind::line, answer, step);
      CHECK(fed.status == status);
      CHECK(fed.payload == answer);
      CHECK(fed.keepalive == (status != 502));
    }
  }
  const Fed missing = feed(MemcachedCommand::Kind::line, "NOT_FOUND\r\n", 1);
  CHECK(missing.status == 404);
  CHECK(missing.payload.empty());
  CHECK(missing.keepalive);
}

TEST_CASE("memcached: lines up to END", "[upstream][memcached]") {
  const std::string answer = "STAT END 1\r\nSTAT EEND\r\nENDX\r\nEND\r\n";
  for (std::size_t step = 1; step <= answer.size(); ++step) {
    const Fed fed = feed(MemcachedCommand::Kind::lines, answer, step);
    CHECK(fed.status == 200);
    CHECK(fed.payload == answer);
    CHECK(fed.body == Dialect::Body::done);
    CHECK(fed.keepalive);
  }
}
