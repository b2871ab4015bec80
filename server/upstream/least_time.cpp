// least_time: the peer expected to be done first: its average time, times the requests it would then have.
#include <algorithm>

#include "conf/setters.hpp"
#include "fiber/scheduler.hpp"
#include "upstream/methods.hpp"
#include "upstream/round_robin.hpp"
#include "upstream/upstream.hpp"

namespace mp::upstream {
namespace {

enum class Measure : std::uint8_t { header, last_byte };

struct Options {
  Measure measure = Measure::header;
  bool inflight = false;  // requests that have not ended yet count with the time they have taken
};

void add_to_average(std::uint64_t& average, std::uint64_t value) {
  const double next = 0.5 + static_cast<double>(value) * 0.05 + static_cast<double>(average) * 0.95;
  average = average != 0 ? static_cast<std::uint64_t>(next) : value;
}

class LeastTime final : public RoundRobin {
 public:
  LeastTime(http::Request& request, PeerGroup& group, Options options)
      : RoundRobin(request, group), options_(options) {}

  void head_came(http::Request&) override {
    if (mine_ == nullptr || !options_.inflight || options_.measure != Measure::header) return;
    const PeerGroup::Guard guard(group());
    add_to_average(mine_->header_time, static_cast<std::uint64_t>(header_time));
    leave_flight(static_cast<std::uint64_t>(header_time));
  }

  void release(http::Request& request, Release outcome) override {
    if (mine_ != nullptr) {
      const PeerGroup::Guard guard(group());
      leave_flight(static_cast<std::uint64_t>(std::max<std::int64_t>(response_time, 0)));
      // Failures are quick: they must not attract.
      if (outcome == Release::good && header_time >= 0) note_times();
      mine_ = nullptr;
    }
    RoundRobin::release(request, outcome);
  }

 protected:
  Peer* choose(std::int64_t now) override {
    if (list().single) return choose_by_weight(now);
    if (Peer* wanted = hinted(now)) return taken(wanted);
    for (Peer* p = list().first; p != nullptr; p = p->next) refresh_inflight(*p);
    Peer* best = nullptr;
    unsigned best_index = 0;
    bool many = false;
    unsigned i = 0;
    for (Peer* p = list().first; p != nullptr; p = p->next, ++i) {
      if (tried(i) || !p->usable(now)) continue;
      const std::uint64_t one = estimate(*p, now);
      const std::uint64_t other = best != nullptr ? estimate(*best, now) : 0;
      if (best == nullptr || one * weight(*best) < other * weight(*p)) {
        best = p;
        best_index = i;
        many = false;
      } else if (one * weight(*best) == other * weight(*p)) {
        many = true;
      }
    }
    if (best == nullptr) return nullptr;
    return taken(many ? among_equals(best, best_index, now) : chosen(best, best_index));
  }

 private:
  static std::uint64_t weight(const Peer& peer) { return static_cast<std::uint64_t>(peer.weight); }

  void refresh_inflight(Peer& peer) const {
    if (peer.inflight == 0) return;
    add_to_average(peer.inflight_time,
                   peer.inflight_last / peer.inflight + (fiber::now() - peer.inflight_changed));
  }

  // Milliseconds until `peer` has done what it has to do, the present request included. Times are rounded, so
  // that similar peers take turns; above five seconds all are equally bad. A peer that was not asked for long
  // gets another chance.
  std::uint64_t estimate(const Peer& peer, std::int64_t now) const {
    constexpr std::uint64_t kWorst = 5000, kStep = 20;
    std::uint64_t time = options_.measure == Measure::header ? peer.header_time : peer.response_time;
    if (now - peer.checked > peer.fail_timeout) {
      time >>= std::min<std::int64_t>((now - peer.checked) / (peer.fail_timeout + 1), 63);
    }
    if (peer.inflight > 0) time = std::max(time, peer.inflight_time);
    time = time > kWorst ? kWorst : time + kStep - time % kStep;
    return time * (1 + peer.conns);
  }

  Peer* among_equals(Peer* best, unsigned best_index, std::int64_t now) {
    const Peer& first = *best;
    const std::uint64_t least = estimate(first, now);
    int total = 0;
    unsigned i = best_index;
    for (Peer* p = best; p != nullptr; p = p->next, ++i) {
      if (tried(i) || !p->usable(now) || estimate(*p, now) * weight(first) != least * weight(*p)) continue;
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

  Peer* taken(Peer* peer) {
    mine_ = peer;
    if (peer == nullptr || !options_.inflight) return peer;
    if (peer->inflight > 0) peer->inflight_last += (fiber::now() - peer->inflight_changed) * peer->inflight;
    peer->inflight_changed = fiber::now();
    ++peer->inflight;
    flying_ = true;
    return peer;
  }

  // `taken_time`: what the request that leaves has contributed.
  void leave_flight(std::uint64_t taken_time) {
    if (!flying_) return;
    flying_ = false;
    if (--mine_->inflight == 0) {
      mine_->inflight_last = 0;
      return;
    }
    const std::uint64_t sum =
        mine_->inflight_last + (fiber::now() - mine_->inflight_changed) * (mine_->inflight + 1);
    mine_->inflight_last = sum > taken_time ? sum - taken_time : 0;
    mine_->inflight_changed = fiber::now();
  }

  void note_times() {
    add_to_average(mine_->response_time,
                   static_cast<std::uint64_t>(std::max<std::int64_t>(response_time, 0)));
    const bool noted = options_.inflight && options_.measure == Measure::header;
    if (!noted) add_to_average(mine_->header_time, static_cast<std::uint64_t>(header_time));
  }

  Options options_;
  Peer* mine_ = nullptr;
  bool flying_ = false;
};

class LeastTimeMethod final : public Method {
 public:
  explicit LeastTimeMethod(Options options) : options_(options) {}
  Balancer* make(http::Request& request, Upstream& upstream) override {
    return request.arena.make<LeastTime>(request, *upstream.peers, options_);
  }

 private:
  Options options_;
};

constexpr conf::Named<Measure> kMeasures[] = {{"header", Measure::header}, {"last_byte", Measure::last_byte}};

}  // namespace

Status parse_least_time(conf::Context& ctx, const conf::Node& node) {
  Options options;
  std::uint64_t measure = 0;
  TRY(conf::detail::find_in(ctx, node.args[0], kMeasures, measure));
  options.measure = static_cast<Measure>(measure);
  if (node.args.size() == 2) {
    if (node.args[1].text != "inflight") {
      return ctx.error(node.args[1], "invalid parameter \"" + std::string(node.args[1].text) + "\"");
    }
    options.inflight = true;
  }
  select_method(ctx, node, std::make_unique<LeastTimeMethod>(options), ServerParam::all);
  return {};
}

}  // namespace mp::upstream
