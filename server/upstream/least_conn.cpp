// least_conn: the peer with the fewest connections for its weight; among equals, by weighted round robin.
#include "upstream/methods.hpp"
#include "upstream/round_robin.hpp"
#include "upstream/upstream.hpp"

namespace mp::upstream {
namespace {

class LeastConn final : public RoundRobin {
 public:
  using RoundRobin::RoundRobin;

 protected:
  Peer* choose(std::int64_t now) override {
    if (list().single) return choose_by_weight(now);
    if (Peer* wanted = hinted(now)) return wanted;
    Peer* best = nullptr;
    unsigned best_index = 0;
    bool many = false;
    unsigned i = 0;
    for (Peer* p = list().first; p != nullptr; p = p->next, ++i) {
      if (tried(i) || !p->usable(now)) continue;
      const std::int64_t difference = best == nullptr ? -1 : load(*p, *best) - load(*best, *p);
      if (difference < 0) {
        best = p;
        best_index = i;
        many = false;
      } else if (difference == 0) {
        many = true;
      }
    }
    if (best == nullptr) return nullptr;
    return many ? among_equals(best, best_index, now) : chosen(best, best_index);
  }

 private:
  // Compares with load(b, a): connections weighed against the other's weight.
  static std::int64_t load(const Peer& a, const Peer& b) { return std::int64_t{a.conns} * b.weight; }

  Peer* among_equals(Peer* best, unsigned best_index, std::int64_t now) {
    int total = 0;
    unsigned i = best_index;
    for (Peer* p = best; p != nullptr; p = p->next, ++i) {
      if (tried(i) || load(*p, *best) != load(*best, *p) || !p->usable(now)) continue;
      p->current_weight += p->effective_weight;
      total += p->effective_weight;
      if (p->effective_weight < p->weight) ++p->effective_weight;
      if (p->current_weight > best->current_weight) {
        best = p;
        best_index = i;
      }
    }
    best->current_weight -= total;
    return chosen(best, best_index);
  }
};

class LeastConnMethod final : public Method {
 public:
  Balancer* make(http::Request& request, Upstream& upstream) override {
    return request.arena.make<LeastConn>(request, *upstream.peers);
  }
};

}  // namespace

Status parse_least_conn(conf::Context& ctx, const conf::Node& node) {
  select_method(ctx, node, std::make_unique<LeastConnMethod>(), ServerParam::all);
  return {};
}

}  // namespace mp::upstream
