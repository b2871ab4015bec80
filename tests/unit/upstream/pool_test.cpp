// Idle connections: found again by address and identity, closed when the server closes, bounded in number and
// time.
#include "upstream/pool.hpp"

#include <cerrno>
#include <functional>
#include <vector>

#include <catch2/catch.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include "fiber/scheduler.hpp"

using namespace mp;
using upstream::IdlePool;
using upstream::Link;
using upstream::LinkPtr;

namespace {

class Server {
 public:
  Server() : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const net::Address any = net::Address::v4(0x7f000001, 0);
    REQUIRE(::bind(fd_, any.raw(), any.size()) == 0);
    REQUIRE(::listen(fd_, 16) == 0);
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&storage), &size);
    address = net::Address::from(reinterpret_cast<sockaddr*>(&storage), size);
  }
  ~Server() {
    for (int fd : accepted) ::close(fd);
    ::close(fd_);
  }
  void accept_one() { accepted.push_back(::accept(fd_, nullptr, nullptr)); }

  net::Address address;
  std::vector<int> accepted;

 private:
  int fd_;
};

void on_fiber(const std::function<void()>& body) {
  fiber::Scheduler scheduler;
  fiber::spawn([&] { body(); });
  scheduler.run(true);
}

LinkPtr connect(const net::Address& to, std::string_view identity = {}, const void* owner = nullptr) {
  auto link = std::make_unique<Link>(to, identity, owner);
  REQUIRE(link->open({}, fiber::now() + 1000));
  return link;
}

void wait_for_size(const IdlePool& pool, std::size_t size) {
  const fiber::Msec until = fiber::now() + 2000;
  while (pool.size() != size && fiber::now() < until) fiber::sleep_for(1);
  CHECK(pool.size() == size);
}

}  // namespace

TEST_CASE("a pool gives a connection back to the same address and identity only", "[upstream]") {
  Server server;
  on_fiber([&] {
    IdlePool pool;
    const int here = 0;
    pool.put(connect(server.address, "tls", &here), 4, 1000);
    net::Address other = server.address;
    other.set_port(1);
    CHECK(pool.take(other, "tls", nullptr) == nullptr);
    CHECK(pool.take(server.address, "", nullptr) == nullptr);
    CHECK(pool.take(server.address, "tls", &pool) == nullptr);
    const LinkPtr again = pool.take(server.address, "tls", &here);
    REQUIRE(again != nullptr);
    CHECK(again->cached);
    CHECK(pool.size() == 0);
  });
}

TEST_CASE("a pool keeps the newest connections", "[upstream]") {
  Server server;
  on_fiber([&] {
    IdlePool pool;
    for (unsigned i = 0; i < 3; ++i) {
      LinkPtr link = connect(server.address);
      link->requests = i;
      pool.put(std::move(link), 2, 1000);
    }
    CHECK(pool.size() == 2);
    CHECK(pool.take(server.address, {}, nullptr)->requests == 2);
    CHECK(pool.take(server.address, {}, nullptr)->requests == 1);
    CHECK(pool.take(server.address, {}, nullptr) == nullptr);
  });
}

TEST_CASE("an idle connection goes when the server closes it or sends something", "[upstream]") {
  for (const bool sends : {false, true}) {
    Server server;
    on_fiber([&] {
      IdlePool pool;
      pool.put(connect(server.address), 4, 10'000);
      server.accept_one();
      CHECK(pool.size() == 1);
      if (sends) {
        REQUIRE(::write(server.accepted[0], "x", 1) == 1);
      } else {
        ::shutdown(server.accepted[0], SHUT_WR);
      }
      wait_for_size(pool, 0);
    });
  }
}

TEST_CASE("an idle connection goes when its time is over", "[upstream]") {
  Server server;
  on_fiber([&] {
    IdlePool pool;
    pool.put(connect(server.address), 4, 20);
    CHECK(pool.size() == 1);
    wait_for_size(pool, 0);
  });
}

TEST_CASE("the time of an idle connection begins anew whenever it comes back", "[upstream]") {
  Server server;
  on_fiber([&] {
    IdlePool pool;
    pool.put(connect(server.address), 4, 20);
    LinkPtr link = pool.take(server.address, {}, nullptr);
    REQUIRE(link != nullptr);
    const fiber::Msec over = fiber::now() + 30;
    while (fiber::now() < over) fiber::sleep_for(1);  // in use for longer than that
    pool.put(std::move(link), 4, 10'000);
    CHECK(pool.size() == 1);
    link = pool.take(server.address, {}, nullptr);
    REQUIRE(link != nullptr);
    pool.put(std::move(link), 4, 20);
    wait_for_size(pool, 0);
  });
}

TEST_CASE("a connection that has unread bytes is not kept", "[upstream]") {
  Server server;
  on_fiber([&] {
    IdlePool pool;
    LinkPtr link = connect(server.address);
    server.accept_one();
    REQUIRE(::write(server.accepted[0], "x", 1) == 1);
    CHECK(link->wait_readable(fiber::now() + 1000));
    pool.put(std::move(link), 4, 1000);
    CHECK(pool.size() == 0);
  });
}

TEST_CASE("a refused connection says so", "[upstream]") {
  net::Address nobody;
  {
    const Server server;
    nobody = server.address;
  }
  on_fiber([&] {
    Link link(nobody, {}, nullptr);
    const Status status = link.open({}, fiber::now() + 1000);
    REQUIRE_FALSE(status);
    CHECK(status.error().code == ECONNREFUSED);
  });
}
