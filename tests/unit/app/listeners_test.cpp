#include "app/listeners.hpp"

#include <cstring>
#include <set>

#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace mp::app {
namespace {

const log::Logger kQuiet{};

// A port nobody listens on at the moment.
int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof in;
  ::bind(fd, reinterpret_cast<sockaddr*>(&in), size);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&in), &size);
  ::close(fd);
  return ntohs(in.sin_port);
}

net::ListenSpec tcp(int port) {
  net::ListenSpec spec;
  auto& in = reinterpret_cast<sockaddr_in&>(spec.address);
  in.sin_family = AF_INET;
  in.sin_port = htons(static_cast<std::uint16_t>(port));
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  spec.length = sizeof in;
  spec.text = "127.0.0.1:" + std::to_string(port);
  return spec;
}

net::ListenSpec unix_socket(const std::string& path) {
  net::ListenSpec spec;
  auto& un = reinterpret_cast<sockaddr_un&>(spec.address);
  un.sun_family = AF_UNIX;
  std::strcpy(un.sun_path, path.c_str());
  spec.length = sizeof un;
  spec.text = "unix:" + path;
  return spec;
}

std::string temp_path() {
  char name[] = "/tmp/mp-listen-XXXXXX";
  const int fd = mkstemp(name);
  ::close(fd);
  ::unlink(name);
  return name;
}

bool exists(const std::string& path) {
  struct stat st{};
  return ::stat(path.c_str(), &st) == 0;
}

std::set<int> fds(const std::vector<net::ListenSocket>& sockets) {
  std::set<int> set;
  for (const auto& s : sockets) set.insert(s.fd);
  return set;
}

void apply(Listeners& listeners, const Listeners::Plan& plan) {
  REQUIRE(listeners.prepare(plan, kQuiet));
  listeners.commit(plan, kQuiet);
}

TEST_CASE("every worker has a socket of its own for a TCP address", "[listeners]") {
  const net::ListenSpec specs[] = {tcp(free_port()), tcp(free_port())};
  Listeners listeners;
  apply(listeners, {specs, 3});
  std::set<int> all;
  for (unsigned w = 0; w < 3; ++w) {
    const auto mine = listeners.for_worker(w, 3);
    REQUIRE(mine.size() == 2);
    CHECK(mine[0].spec == 0);
    CHECK(mine[1].spec == 1);
    CHECK_FALSE(mine[0].shared);
    all.merge(fds(mine));
  }
  CHECK(all.size() == 6);
}

TEST_CASE("a reload keeps the sockets; fewer workers share all of them", "[listeners]") {
  const net::ListenSpec specs[] = {tcp(free_port())};
  Listeners listeners;
  apply(listeners, {specs, 4});
  const auto before = fds(listeners.for_worker(0, 1));
  CHECK(before.size() == 4);
  apply(listeners, {specs, 2});
  CHECK(fds(listeners.for_worker(0, 1)) == before);
  CHECK(listeners.for_worker(0, 2).size() == 2);
  CHECK(listeners.for_worker(1, 2).size() == 2);
  apply(listeners, {specs, 5});
  CHECK(listeners.for_worker(0, 1).size() == 5);
}

TEST_CASE("one socket can get company later", "[listeners]") {
  const net::ListenSpec specs[] = {tcp(free_port())};
  Listeners listeners;
  apply(listeners, {specs, 1});
  apply(listeners, {specs, 2});
  CHECK(listeners.for_worker(0, 1).size() == 2);
}

TEST_CASE("an address that somebody else uses is refused, even by another of our kind", "[listeners]") {
  const net::ListenSpec specs[] = {tcp(free_port())};
  Listeners first;
  apply(first, {specs, 2});
  Listeners second;
  CHECK_FALSE(second.prepare({specs, 2}, kQuiet));
  CHECK(second.empty());
  // A test of the configuration does not mind.
  CHECK(second.prepare({specs, 2, true}, kQuiet));
}

TEST_CASE("what a new configuration does not want is closed; a refused one changes nothing", "[listeners]") {
  const int port = free_port();
  const net::ListenSpec old_specs[] = {tcp(port)};
  const net::ListenSpec new_specs[] = {tcp(free_port())};
  Listeners listeners;
  apply(listeners, {old_specs, 1});
  const auto before = fds(listeners.for_worker(0, 1));

  REQUIRE(listeners.prepare({new_specs, 1}, kQuiet));
  listeners.rollback();
  CHECK(fds(listeners.for_worker(0, 1)) == before);

  apply(listeners, {new_specs, 1});
  CHECK(listeners.for_worker(0, 1).size() == 1);
  Listeners other;
  CHECK(other.prepare({old_specs, 1}, kQuiet));  // the old port is free again
}

TEST_CASE("a unix socket is shared, open to all users, and removed when nobody wants it", "[listeners]") {
  const std::string path = temp_path();
  const net::ListenSpec specs[] = {unix_socket(path)};
  Listeners listeners;
  apply(listeners, {specs, 2});
  const auto a = listeners.for_worker(0, 2);
  const auto b = listeners.for_worker(1, 2);
  REQUIRE(a.size() == 1);
  CHECK(a[0].fd == b[0].fd);
  CHECK(a[0].shared);
  struct stat st{};
  REQUIRE(::stat(path.c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0666);
  apply(listeners, {{}, 2});
  CHECK_FALSE(exists(path));
}

TEST_CASE("testing a configuration leaves no unix socket behind", "[listeners]") {
  const std::string path = temp_path();
  const net::ListenSpec specs[] = {unix_socket(path)};
  Listeners listeners;
  CHECK(listeners.prepare({specs, 1, true}, kQuiet));
  CHECK_FALSE(exists(path));
  listeners.rollback();
  CHECK(listeners.empty());
}

TEST_CASE("a new binary finds the sockets by address", "[listeners]") {
  const net::ListenSpec specs[] = {tcp(free_port())};
  Listeners old_binary;
  apply(old_binary, {specs, 2});
  // In reality the numbers are the same in both processes; here the new one gets duplicates.
  std::string numbers;
  for (const int fd : fds(old_binary.for_worker(0, 1))) numbers += std::to_string(::dup(fd)) + ";";
  CHECK(old_binary.numbers().size() >= 4);

  Listeners new_binary;
  new_binary.inherit(numbers, kQuiet);
  apply(new_binary, {specs, 2});
  const auto taken = new_binary.for_worker(0, 1);
  CHECK(taken.size() == 2);
  for (const auto& s : taken) CHECK((::fcntl(s.fd, F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("inherited numbers that are no sockets are passed over", "[listeners]") {
  Listeners listeners;
  listeners.inherit("0;x;", kQuiet);
  CHECK(listeners.empty());
  listeners.inherit("12", kQuiet);
  CHECK(listeners.empty());
}

}  // namespace
}  // namespace mp::app
