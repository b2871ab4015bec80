// The resolver against a name server on a socket of this process.
#include "net/resolver.hpp"

#include <cstring>
#include <functional>
#include <map>
#include <set>

#include <catch2/catch.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include "fiber/scheduler.hpp"
#include "net/dns_message.hpp"

using namespace mp;
using net::Address;

namespace {

// Answers queries by a function from name and type to "code, addresses or names".
class NameServer final : public fiber::Watch {
 public:
  struct Answer {
    unsigned code = 0;
    std::vector<std::string> records;  // "1.2.3.4", "::1", or a name (CNAME)
    std::uint32_t ttl = 60;
    bool silent = false;
  };
  using Zone = std::function<Answer(const std::string& name, net::dns::Type type)>;

  explicit NameServer(Zone zone) : zone_(std::move(zone)) {
    socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    Address any = Address::v4(0x7f000001, 0);
    REQUIRE(::bind(socket_, any.raw(), any.size()) == 0);
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    getsockname(socket_, reinterpret_cast<sockaddr*>(&storage), &size);
    address = Address::from(reinterpret_cast<sockaddr*>(&storage), size);
    REQUIRE(add(socket_, EPOLLIN | EPOLLET));
  }
  ~NameServer() {
    remove();
    ::close(socket_);
  }

  Address address;
  int queries = 0;

 private:
  void on_ready() override {
    char buffer[1500];
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    for (;;) {
      const ssize_t n =
          ::recvfrom(socket_, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (n < 0) break;
      ++queries;
      const std::string reply = respond({buffer, static_cast<std::size_t>(n)});
      if (!reply.empty())
        ::sendto(socket_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
    readable = false;
  }

  static void put16(std::string& out, unsigned value) {
    out.push_back(static_cast<char>(value >> 8));
    out.push_back(static_cast<char>(value));
  }

  std::string respond(std::string_view query) {
    std::string name;
    std::size_t at = 12;
    while (query[at] != 0) {
      if (!name.empty()) name += '.';
      name += query.substr(at + 1, static_cast<std::size_t>(query[at]));
      at += 1 + static_cast<std::size_t>(query[at]);
    }
    const auto type = static_cast<net::dns::Type>(static_cast<unsigned char>(query[at + 2]));
    const Answer answer = zone_(name, type);
    if (answer.silent) return {};
    std::string out(query.substr(0, 2));
    put16(out, 0x8180 | answer.code);
    put16(out, 1);
    put16(out, static_cast<unsigned>(answer.records.size()));
    put16(out, 0);
    put16(out, 0);
    out += query.substr(12, at + 5 - 12);
    for (const std::string& record : answer.records) {
      put16(out, 0xc00c);
      const auto address_of = net::parse_ip(record);
      put16(out, !address_of ? 5 : address_of->is_v4() ? 1 : 28);
      put16(out, 1);
      put16(out, answer.ttl >> 16);
      put16(out, answer.ttl & 0xffff);
      std::string data;
      if (address_of) {
        data = address_of->binary();
      } else {
        std::string rest = record + ".";
        while (!rest.empty()) {
          const std::size_t dot = rest.find('.');
          data.push_back(static_cast<char>(dot));
          data += rest.substr(0, dot);
          rest.erase(0, dot + 1);
        }
        data.push_back('\0');
      }
      put16(out, static_cast<unsigned>(data.size()));
      out += data;
    }
    return out;
  }

  Zone zone_;
  int socket_;
};

void on_fiber(const std::function<void()>& body) {
  fiber::Scheduler scheduler;
  fiber::spawn([&] { body(); });
  scheduler.run(true);
}

std::set<std::string> texts(const std::vector<Address>& addresses) {
  std::set<std::string> out;
  for (const Address& address : addresses) out.insert(address.text());
  return out;
}

fiber::Msec soon() {
  return fiber::now() + 2000;
}

}  // namespace

TEST_CASE("both families are asked and put together", "[resolver]") {
  on_fiber([] {
    NameServer server([](const std::string&, net::dns::Type type) -> NameServer::Answer {
      if (type == net::dns::Type::a) return {0, {"1.2.3.4", "1.2.3.5"}};
      return {0, {"2001:db8::1"}};
    });
    net::Resolver resolver({.servers = {server.address}});
    const auto found = resolver.resolve("Example.COM", soon());
    REQUIRE(found);
    CHECK(texts(*found) == std::set<std::string>{"1.2.3.4", "1.2.3.5", "2001:db8::1"});
    CHECK(server.queries == 2);
    // From the cache, beginning with another one.
    const auto again = resolver.resolve("example.com.", soon());
    REQUIRE(again);
    CHECK(server.queries == 2);
    CHECK(again->front() != found->front());
  });
}

TEST_CASE("ipv6=off asks one question; addresses need none", "[resolver]") {
  on_fiber([] {
    NameServer server(
        [](const std::string&, net::dns::Type) -> NameServer::Answer { return {0, {"1.2.3.4"}}; });
    net::Resolver resolver({.servers = {server.address}, .ipv6 = false});
    CHECK(resolver.resolve("a.test", soon()));
    CHECK(server.queries == 1);
    CHECK(resolver.resolve("127.0.0.1", soon())->front().text() == "127.0.0.1");
    CHECK(resolver.resolve("::1", soon())->front().text() == "::1");
    CHECK(server.queries == 1);
  });
}

TEST_CASE("failures have their established words and are not kept", "[resolver]") {
  on_fiber([] {
    unsigned code = 3;
    NameServer server([&code](const std::string&, net::dns::Type) -> NameServer::Answer {
      if (code != 0) return {code, {}};
      return {0, {"1.2.3.4"}};
    });
    net::Resolver resolver({.servers = {server.address}, .ipv6 = false});
    const auto missing = resolver.resolve("x", soon());
    REQUIRE_FALSE(missing);
    CHECK(missing.error().text == "x could not be resolved (3: Host not found)");
    code = 2;
    CHECK(resolver.resolve("x", soon()).error().text == "x could not be resolved (2: Server failure)");
    code = 0;
    CHECK(resolver.resolve("x", soon()));
    CHECK(resolver.resolve("", soon()).error().text == " could not be resolved (3: Host not found)");
  });
}

TEST_CASE("an empty answer is no host; an alias is followed", "[resolver]") {
  on_fiber([] {
    NameServer server([](const std::string& name, net::dns::Type) -> NameServer::Answer {
      if (name == "alias.test") return {0, {"real.test"}};
      if (name == "loop.test") return {0, {"loop.test"}};
      if (name == "real.test") return {0, {"1.2.3.4"}};
      return {0, {}};
    });
    net::Resolver resolver({.servers = {server.address}, .ipv6 = false});
    CHECK(texts(*resolver.resolve("alias.test", soon())) == std::set<std::string>{"1.2.3.4"});
    CHECK(resolver.resolve("empty.test", soon()).error().code == 3);
    CHECK(resolver.resolve("loop.test", soon()).error().code == 3);
  });
}

TEST_CASE("fibers that ask for the same name share the query", "[resolver]") {
  on_fiber([] {
    NameServer server(
        [](const std::string&, net::dns::Type) -> NameServer::Answer { return {0, {"1.2.3.4"}}; });
    net::Resolver resolver({.servers = {server.address}, .ipv6 = false});
    int answers = 0;
    fiber::Group group;
    for (int i = 0; i < 5; ++i) {
      group.spawn([&] { answers += resolver.resolve("a.test", soon()) ? 1 : 0; });
    }
    group.wait();
    CHECK(answers == 5);
    CHECK(server.queries == 1);
  });
}

TEST_CASE("silence ends with the caller's deadline, and disturbs nobody else", "[resolver]") {
  on_fiber([] {
    NameServer server(
        [](const std::string&, net::dns::Type) -> NameServer::Answer { return {.silent = true}; });
    net::Resolver resolver({.servers = {server.address}, .ipv6 = false, .resend_after = 10});
    const auto found = resolver.resolve("a.test", fiber::now() + 30);
    REQUIRE_FALSE(found);
    CHECK(found.error().text == "a.test could not be resolved (110: Operation timed out)");
    CHECK(server.queries > 1);
    fiber::sleep_for(20);  // by then the query has seen that nobody waits
  });
}

TEST_CASE("a time to live of zero is asked again; valid= overrules it", "[resolver]") {
  on_fiber([] {
    NameServer server(
        [](const std::string&, net::dns::Type) -> NameServer::Answer { return {0, {"1.2.3.4"}, 0}; });
    net::Resolver as_told({.servers = {server.address}, .ipv6 = false});
    CHECK(as_told.resolve("a.test", soon()));
    CHECK(as_told.resolve("a.test", soon()));
    CHECK(server.queries == 2);
    net::Resolver own({.servers = {server.address}, .valid_seconds = 10, .ipv6 = false});
    CHECK(own.resolve("a.test", soon()));
    CHECK(own.resolve("a.test", soon()));
    CHECK(server.queries == 3);
  });
}
