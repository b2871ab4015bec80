// random: any peer by weight; `two` draws two and takes the one with fewer connections.
#include <cstdlib>

#include "upstream/methods.hpp"
#include "upstream/round_robin.hpp"
#include "upstream/upstream.hpp"

namespace mp::upstream {
namespace {

class Random final : public RoundRobin {
 public:
  Random(http::Request& request, PeerGroup& group, bool two) : RoundRobin(request, group), two_(two) {}

 protected:
  Peer* choose(std::int64_t now) override {
    constexpr unsigned kMostTries = 20;
    if (rounds_ > kMostTries || list().number < 2) return choose_by_weight(now);
    if (Peer* wanted = hinted(now)) return wanted;
    Peer* first = nullptr;
    unsigned first_index = 0;
    for (;;) {
      unsigned i = 0;
      Peer* p = draw(i);
      if (p != first && !tried(i) && p->usable(now)) {
        if (!two_) return chosen(p, i);
        if (first != nullptr) {
          const bool busier = std::int64_t{p->conns} * first->weight > std::int64_t{first->conns} * p->weight;
          return busier ? chosen(first, first_index) : chosen(p, i);
        }
        first = p;
        first_index = i;
      }
      if (++rounds_ > kMostTries) return choose_by_weight(now);
    }
  }

 private:
  Peer* draw(unsigned& index) {
    int place = static_cast<int>(static_cast<unsigned>(std::rand()) % list().total_weight);
    Peer* p = list().first;
    for (index = 0; place >= p->weight; p = p->next, ++index) place -= p->weight;
    return p;
  }

  bool two_;
  unsigned rounds_ = 0;
};

class RandomMethod final : public Method {
 public:
  explicit RandomMethod(bool two) : two_(two) {}
  Balancer* make(http::Request& request, Upstream& upstream) override {
    return request.arena.make<Random>(request, *upstream.peers, two_);
  }

 private:
  bool two_;
};

}  // namespace

Status parse_random(conf::Context& ctx, const conf::Node& node) {
  constexpr std::string_view kWords[] = {"two", "least_conn"};
  for (std::size_t i = 0; i < node.args.size(); ++i) {
    if (node.args[i].text != kWords[i]) {
      return ctx.error(node.args[i], "invalid parameter \"" + std::string(node.args[i].text) + "\"");
    }
  }
  select_method(ctx, node, std::make_unique<RandomMethod>(!node.args.empty()), ServerParam::no_backup);
  return {};
}

}  // namespace mp::upstream
