// The balancing methods on an upstream {} read from text: who is chosen, and what failures change.
#include <algorithm>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "base/clock.hpp"
#include "conf/configuration.hpp"
#include "conf/process_conf.hpp"
#include "http/core_module.hpp"
#include "upstream/resolver_conf.hpp"
#include "upstream/round_robin.hpp"
#include "upstream/upstream.hpp"

using namespace mp;
using upstream::Pick;
using upstream::Release;

namespace {

class FakeConnection final : public http::Connection {
  void input_ready() override {}
};

class NoSink final : public http::Sink {
  bool send_head(http::Request&, bool) override { return true; }
  bool send_body(http::Request&, const http::Output&) override { return true; }
};

constexpr conf::ConfType kProcess[] = {conf::conf_type<conf::ProcessWide>()};
constexpr conf::Module kProcessModule = {.name = "process", .confs = kProcess};

class Fixture {
 public:
  explicit Fixture(const std::string& block, const char* client = "10.1.2.3")
      : registry_(modules()), configuration_(registry_, {"/", "/etc/test.conf", ""}) {
    const Status loaded = configuration_.load_text("http { upstream u { " + block + " } }");
    INFO((loaded ? std::string() : loaded.error().text));
    REQUIRE(loaded);
    upstream_ = configuration_.root().get<upstream::UpstreamMain>().all.at(0);
    connection_.client = *net::parse_ip(client);
  }

  upstream::Upstream& upstream() { return *upstream_; }

  // The ports chosen by one request for its tries.
  std::string tries(const std::vector<Release>& outcomes) {
    http::Request request(connection_, sink_);
    request.sets = configuration_.root();
    upstream::Balancer* balancer = make(request);
    std::string ports;
    for (const Release outcome : outcomes) {
      if (balancer->pick(request) != Pick::ok) return ports + "-";
      ports += balancer->target.name.back();
      balancer->release(request, outcome);
    }
    return ports;
  }

  std::string sequence(int requests) {
    std::string out;
    for (int i = 0; i < requests; ++i) out += tries({Release::good});
    return out;
  }

  // As sequence(), but nobody gives back what was chosen.
  std::string held(int requests) {
    std::string out;
    for (int i = 0; i < requests; ++i) {
      open_.push_back(std::make_unique<http::Request>(connection_, sink_));
      open_.back()->sets = configuration_.root();
      upstream::Balancer* balancer = make(*open_.back());
      out += balancer->pick(*open_.back()) == Pick::ok ? balancer->target.name.back() : '-';
    }
    return out;
  }

 private:
  static std::span<const conf::Module* const> modules() {
    static constexpr const conf::Module* kModules[] = {
        &kProcessModule, &http::kCoreModule, &upstream::kResolverModule, &upstream::kUpstreamModule};
    return kModules;
  }
  upstream::Balancer* make(http::Request& request) {
    if (upstream_->method != nullptr) return upstream_->method->make(request, *upstream_);
    return request.arena.make<upstream::RoundRobin>(request, *upstream_->peers);
  }

  conf::Registry registry_;
  conf::Configuration configuration_;
  upstream::Upstream* upstream_ = nullptr;
  FakeConnection connection_;
  NoSink sink_;
  std::vector<std::unique_ptr<http::Request>> open_;
};

const std::string kThree = "server 127.0.0.1:1; server 127.0.0.1:2; server 127.0.0.1:3;";
const std::string kTwo = "server 127.0.0.1:1; server 127.0.0.1:2;";

}  // namespace

TEST_CASE("round robin spreads by weight, smoothly", "[upstream]") {
  CHECK(Fixture(kThree).sequence(7) == "1231231");
  CHECK(Fixture("server 127.0.0.1:1 weight=5; server 127.0.0.1:2; server 127.0.0.1:3;").sequence(7) ==
        "1121311");
  CHECK(Fixture("server 127.0.0.1:1 down; server 127.0.0.1:2;").sequence(3) == "222");
}

TEST_CASE("a request asks each peer once, then the backups", "[upstream]") {
  const std::vector<Release> all_fail(4, Release::failed);
  CHECK(Fixture(kTwo + "server 127.0.0.1:3 backup;").tries(all_fail) == "123-");
}

TEST_CASE("a failed peer rests for fail_timeout", "[upstream]") {
  mp::clock().set(1000, 0, 1'000'000);
  Fixture f(kTwo);
  CHECK(f.tries({Release::failed, Release::good}) == "12");
  CHECK(f.sequence(3) == "222");
  mp::clock().set(1010, 0, 1'010'000);
  CHECK(f.sequence(2) == "22");
  mp::clock().set(1011, 0, 1'011'000);
  CHECK(f.sequence(6).find('1') != std::string::npos);
  mp::clock().update();
}

TEST_CASE("403 and 404 do not count against a peer; max_fails=0 means nothing does", "[upstream]") {
  Fixture f(kTwo);
  CHECK(f.tries({Release::next, Release::good}) == "12");
  CHECK(f.upstream().peers->primary.first->fails == 0);
  Fixture never("server 127.0.0.1:1 max_fails=0; server 127.0.0.1:2;");
  for (int i = 0; i < 3; ++i) (void)never.tries({Release::failed});
  CHECK(never.sequence(4).find('1') != std::string::npos);
}

TEST_CASE("max_conns keeps further requests away", "[upstream]") {
  CHECK(Fixture("server 127.0.0.1:1 max_conns=1; server 127.0.0.1:2 max_conns=2;").held(4) == "122-");
  CHECK(Fixture("server 127.0.0.1:1 max_conns=1;").held(2) == "1-");
}

TEST_CASE("least_conn takes the least busy peer", "[upstream]") {
  const std::string held = Fixture("least_conn; server 127.0.0.1:1; server 127.0.0.1:2 weight=2;").held(6);
  CHECK(std::count(held.begin(), held.end(), '2') == 4);
  CHECK(Fixture("least_conn; " + kTwo).sequence(4) == "1212");
}

TEST_CASE("ip_hash keeps a client, and neighbours, with one peer", "[upstream]") {
  const std::string a = Fixture("ip_hash; " + kThree, "10.1.2.3").sequence(3);
  CHECK(a == std::string(3, a[0]));
  CHECK(Fixture("ip_hash; " + kThree, "10.1.2.200").sequence(3) == a);
  const std::string six = Fixture("ip_hash; " + kThree, "2001:db8::1").sequence(3);
  CHECK(six == std::string(3, six[0]));
}

TEST_CASE("hash agrees with Cache::Memcached", "[upstream]") {
  CHECK(Fixture("hash a; " + kThree).sequence(1) == std::to_string((0xe8b7be43u >> 16 & 0x7fff) % 3 + 1));
  CHECK(Fixture("hash abc; " + kThree).sequence(1) == std::to_string((0x352441c2u >> 16 & 0x7fff) % 3 + 1));
}

TEST_CASE("consistent hashing moves few keys when a peer goes", "[upstream]") {
  int moved = 0;
  for (int i = 0; i < 40; ++i) {
    const std::string method = "hash key" + std::to_string(i) + " consistent; ";
    const std::string before = Fixture(method + kThree).sequence(1);
    const std::string after = Fixture(method + kTwo).sequence(1);
    if (before == "3") {
      ++moved;
    } else {
      CHECK(after == before);
    }
  }
  CHECK(moved > 4);
  CHECK(moved < 25);
}

TEST_CASE("random asks every peer in the end", "[upstream]") {
  const std::string drawn = Fixture("random; " + kTwo).sequence(60);
  CHECK(drawn.find('1') != std::string::npos);
  CHECK(drawn.find('2') != std::string::npos);
}
