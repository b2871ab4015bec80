// ip_hash: the client's address decides; the first three bytes of an IPv4 one, so that neighbours share a
// peer.
#include "upstream/methods.hpp"
#include "upstream/round_robin.hpp"
#include "upstream/upstream.hpp"

namespace mp::upstream {
namespace {

class IpHash final : public RoundRobin {
 public:
  IpHash(http::Request& request, PeerGroup& group) : RoundRobin(request, group) {
    const net::Address& client = request.connection.client;
    key_ = client.is_unix() ? std::string_view("\0\0\0", 3) : client.binary();
    if (client.is_v4()) key_ = key_.substr(0, 3);
  }

 protected:
  Peer* choose(std::int64_t now) override {
    constexpr unsigned kMostTries = 20;
    if (rounds_ > kMostTries || list().number < 2) return choose_by_weight(now);
    if (Peer* wanted = hinted(now)) return wanted;
    unsigned hash = hash_;
    for (;;) {
      for (const char c : key_) hash = (hash * 113 + static_cast<unsigned char>(c)) % 6271;
      int place = static_cast<int>(hash % list().total_weight);
      Peer* p = list().first;
      unsigned i = 0;
      for (; place >= p->weight; p = p->next, ++i) place -= p->weight;
      if (!tried(i) && p->usable(now)) {
        hash_ = hash;
        return chosen(p, i);
      }
      if (++rounds_ > kMostTries) return choose_by_weight(now);
    }
  }

 private:
  std::string_view key_;
  unsigned hash_ = 89;
  unsigned rounds_ = 0;
};

class IpHashMethod final : public Method {
 public:
  Balancer* make(http::Request& request, Upstream& upstream) override {
    return request.arena.make<IpHash>(request, *upstream.peers);
  }
};

}  // namespace

Status parse_ip_hash(conf::Context& ctx, const conf::Node& node) {
  select_method(ctx, node, std::make_unique<IpHashMethod>(), ServerParam::no_backup);
  return {};
}

}  // namespace mp::upstream
