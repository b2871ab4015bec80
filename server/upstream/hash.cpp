// hash: a key decides. Plain hashing agrees with Cache::Memcached, `consistent` with Cache::Memcached::Fast
// (ketama), so that servers and clients of both kinds find the same peer.
#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "base/ascii.hpp"
#include "base/digest.hpp"
#include "base/numbers.hpp"
#include "http/template.hpp"
#include "upstream/methods.hpp"
#include "upstream/round_robin.hpp"
#include "upstream/upstream.hpp"

namespace mp::upstream {
namespace {

constexpr unsigned kMostTries = 20;

std::uint32_t crc(std::uint32_t start, std::string_view bytes) {
  return crc32(bytes, start);
}

class Hash final : public RoundRobin {
 public:
  Hash(http::Request& request, PeerGroup& group, std::string_view key)
      : RoundRobin(request, group), key_(key) {}

 protected:
  Peer* choose(std::int64_t now) override {
    if (rounds_ > kMostTries || list().number < 2 || key_.empty()) return choose_by_weight(now);
    if (Peer* wanted = hinted(now)) return wanted;
    for (;;) {
      advance();
      int place = static_cast<int>(hash_ % list().total_weight);
      Peer* p = list().first;
      unsigned i = 0;
      for (; place >= p->weight; p = p->next, ++i) place -= p->weight;
      if (!tried(i) && p->usable(now)) return chosen(p, i);
      if (++rounds_ > kMostTries) return choose_by_weight(now);
    }
  }

 private:
  // ((crc32([number of the round] KEY) >> 16) & 0x7fff) added to what the rounds before gave.
  void advance() {
    std::uint32_t sum = 0;
    if (rehash_ > 0) {
      char text[kMaxDecimal];
      sum = crc(sum, {text, static_cast<std::size_t>(print(text, rehash_) - text)});
    }
    ++rehash_;
    hash_ += crc(sum, key_) >> 16 & 0x7fff;
  }

  std::string_view key_;
  std::uint32_t hash_ = 0;
  unsigned rehash_ = 0;
  unsigned rounds_ = 0;
};

class HashMethod final : public Method {
 public:
  explicit HashMethod(http::Template key) : key_(std::move(key)) {}
  Balancer* make(http::Request& request, Upstream& upstream) override {
    return request.arena.make<Hash>(request, *upstream.peers, key_.evaluate(request));
  }

 private:
  http::Template key_;
};

// The points of all servers on the circle of 32-bit numbers.
struct Ring {
  struct Point {
    std::uint32_t hash;
    std::string_view server;
  };
  std::vector<Point> points;
  std::deque<std::string> servers;  // what the points refer to: peers may be gone while the ring is in use
  std::uint32_t version = 0;

  void build(const PeerGroup& group);
  std::size_t find(std::uint32_t hash) const {
    const auto at = std::lower_bound(points.begin(), points.end(), hash,
                                     [](const Point& p, std::uint32_t h) { return p.hash < h; });
    return static_cast<std::size_t>(at - points.begin());
  }
};

// The name of a server as clients hash it: host and port apart, a Unix socket by its path.
std::pair<std::string_view, std::string_view> split_server(std::string_view server) {
  if (starts_with_nocase(server, "unix:")) return {server.substr(5), {}};
  const std::size_t colon = server.find_last_not_of("0123456789");
  if (colon == std::string_view::npos || server[colon] != ':') return {server, {}};
  return {server.substr(0, colon), server.substr(colon + 1)};
}

// crc32(HOST \0 PORT previous hash), 160 points for each unit of weight.
void Ring::build(const PeerGroup& group) {
  constexpr int kPointsPerWeight = 160;
  points.clear();
  points.reserve(group.primary.total_weight * std::size_t{kPointsPerWeight});
  for (const Peer* p = group.primary.first; p != nullptr; p = p->next) {
    const auto [host, port] = split_server(p->server);
    const std::uint32_t base = crc(crc(crc(0, host), {"", 1}), port);
    const std::string_view server = servers.emplace_back(p->server);
    std::uint32_t previous = 0;
    for (int i = 0; i < p->weight * kPointsPerWeight; ++i) {
      const char bytes[4] = {static_cast<char>(previous), static_cast<char>(previous >> 8),
                             static_cast<char>(previous >> 16), static_cast<char>(previous >> 24)};
      previous = crc(base, {bytes, 4});
      points.push_back({previous, server});
    }
  }
  std::stable_sort(points.begin(), points.end(),
                   [](const Point& a, const Point& b) { return a.hash < b.hash; });
  const auto same = [](const Point& a, const Point& b) { return a.hash == b.hash; };
  points.erase(std::unique(points.begin(), points.end(), same), points.end());
  version = group.version;
}

class ConsistentHash final : public RoundRobin {
 public:
  ConsistentHash(http::Request& request, PeerGroup& group, std::string_view key, const Ring& ring)
      : RoundRobin(request, group), key_(key), ring_(ring), place_(ring.find(crc(0, key))) {}

 protected:
  Peer* choose(std::int64_t now) override {
    if (rounds_ > kMostTries || list().single || key_.empty()) return choose_by_weight(now);
    if (Peer* wanted = hinted(now)) return wanted;
    if (list().number == 0 || ring_.points.empty()) return nullptr;
    for (; rounds_ <= kMostTries; ++rounds_, ++place_) {
      if (Peer* p = choose_of(ring_.points[place_ % ring_.points.size()].server, now)) return p;
    }
    return choose_by_weight(now);
  }

 private:
  // A server may stand for several addresses: they take turns.
  Peer* choose_of(std::string_view server, std::int64_t now) {
    Peer* best = nullptr;
    unsigned best_index = 0;
    int total = 0;
    unsigned i = 0;
    for (Peer* p = list().first; p != nullptr; p = p->next, ++i) {
      if (tried(i) || !p->usable(now) || p->server != server) continue;
      p->current_weight += p->effective_weight;
      total += p->effective_weight;
      if (p->effective_weight < p->weight) ++p->effective_weight;
      if (best == nullptr || p->current_weight > best->current_weight) {
        best = p;
        best_index = i;
      }
    }
    if (best == nullptr) return nullptr;
    best->current_weight -= total;
    return chosen(best, best_index);
  }

  std::string_view key_;
  const Ring& ring_;
  std::size_t place_;
  unsigned rounds_ = 0;
};

class ConsistentHashMethod final : public Method {
 public:
  explicit ConsistentHashMethod(http::Template key) : key_(std::move(key)) {}

  Balancer* make(http::Request& request, Upstream& upstream) override {
    PeerGroup& group = *upstream.peers;
    if (!built_ || ring_->version != group.version) {
      // Requests under way keep the ring they began with.
      ring_ = std::make_shared<Ring>();
      const PeerGroup::Guard guard(group);
      ring_->build(group);
      built_ = true;
    }
    auto* ring = request.arena.make<std::shared_ptr<Ring>>(ring_);
    return request.arena.make<ConsistentHash>(request, group, key_.evaluate(request), **ring);
  }

 private:
  http::Template key_;
  std::shared_ptr<Ring> ring_ = std::make_shared<Ring>();
  bool built_ = false;
};

}  // namespace

Status parse_hash(conf::Context& ctx, const conf::Node& node) {
  auto key = http::Template::compile(ctx, node.args[0].text);
  if (!key) return ctx.error(node.args[0], key.error().text);
  std::unique_ptr<Method> method;
  if (node.args.size() == 1) {
    method = std::make_unique<HashMethod>(std::move(*key));
  } else if (node.args[1].text == "consistent") {
    method = std::make_unique<ConsistentHashMethod>(std::move(*key));
  } else {
    return ctx.error(node.args[1], "invalid parameter \"" + std::string(node.args[1].text) + "\"");
  }
  select_method(ctx, node, std::move(method), ServerParam::no_backup);
  return {};
}

}  // namespace mp::upstream
