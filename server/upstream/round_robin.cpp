#include "upstream/round_robin.hpp"

#include <algorithm>
#include <utility>

#include "upstream/upstream.hpp"

namespace mp::upstream {

RoundRobin::RoundRobin(http::Request& request, PeerGroup& group) : group_(group), list_(&group.primary) {
  const PeerGroup::Guard guard(group_);
  version_ = group_.version;
  tries = group_.tries();
  const unsigned most = std::max(group_.primary.number, group_.backup.number);
  if (most <= 64) return;
  words_ = (most + 63) / 64;
  tried_ = request.arena.array<std::uint64_t>(words_);
}

Pick RoundRobin::pick(http::Request& request) {
  const PeerGroup::Guard guard(group_);
  target.name = group_.name;
  target.address = nullptr;
  if (version_ != group_.version) return Pick::busy;
  const std::int64_t now = now_seconds();
  do {
    Peer* peer = choose(now);
    if (peer == nullptr) continue;
    take(*peer, now);
    target.address = &peer->address;
    target.name = peer->name();
    target.sid = peer->sid();
    if (group_.dynamic) {  // it may be freed while the log still wants the name
      target.name = request.arena.copy(target.name);
      target.sid = request.arena.copy(target.sid);
    }
    return Pick::ok;
  } while (go_to_backup());
  return Pick::busy;
}

void RoundRobin::take(Peer& peer, std::int64_t now) {
  current_ = &peer;
  ++peer.refs;
  ++peer.conns;
  if (list_->single) return;
  tried_[index_ / 64] |= std::uint64_t{1} << (index_ % 64);
  if (now - peer.checked > peer.fail_timeout) peer.checked = now;
}

bool RoundRobin::go_to_backup() {
  if (list_ == &group_.backup || group_.backup.number == 0) return false;
  list_ = &group_.backup;
  std::fill_n(tried_, words_, 0);
  return true;
}

Peer* RoundRobin::hinted(std::int64_t now) {
  if (sid_hint.empty()) return nullptr;
  unsigned i = 0;
  for (Peer* p = list_->first; p != nullptr; p = p->next, ++i) {
    if (p->sid() != sid_hint) continue;
    if (tried(i) || p->state == Peer::State::down || p->failing(now) || p->full()) return nullptr;
    return chosen(p, i);
  }
  return nullptr;
}

Peer* RoundRobin::choose_by_weight(std::int64_t now) {
  Peer* const wanted = sid_hint.empty() ? nullptr : hinted(now);
  const unsigned wanted_index = index_;
  if (list_->single) {
    if (wanted != nullptr) return wanted;
    Peer* only = list_->first;
    return only->state == Peer::State::up && !only->full() ? chosen(only, 0) : nullptr;
  }
  if (wanted != nullptr) {
    // A session that comes back again and again must not drive the weight below what the others can repay.
    const int lowest = -(static_cast<int>(list_->total_weight) - wanted->weight);
    if (wanted->current_weight <= lowest) return chosen(wanted, wanted_index);
  }
  Peer* best = nullptr;
  unsigned best_index = 0;
  int total = 0;
  unsigned i = 0;
  for (Peer* p = list_->first; p != nullptr; p = p->next, ++i) {
    if (tried(i) || !p->usable(now)) continue;
    p->current_weight += p->effective_weight;
    total += p->effective_weight;
    if (p->effective_weight < p->weight) ++p->effective_weight;
    if (best == nullptr || p->current_weight > best->current_weight) {
      best = p;
      best_index = i;
    }
  }
  if (wanted != nullptr) {
    best = wanted;
    best_index = wanted_index;
  }
  if (best == nullptr) return nullptr;
  best->current_weight -= total;
  return chosen(best, best_index);
}

void RoundRobin::release(http::Request& request, Release outcome) {
  if (current_ == nullptr) return;
  if (settle(*std::exchange(current_, nullptr), outcome)) {
    log::warn(request.logger, "upstream server temporarily disabled");
  }
}

// True when this failure was the one too many.
bool RoundRobin::settle(Peer& peer, Release outcome) {
  const PeerGroup::Guard guard(group_);
  --peer.conns;
  bool disabled = false;
  if (list_->single) {
    peer.fails = 0;
    tries = 0;
  } else if (outcome == Release::failed) {
    ++peer.fails;
    peer.accessed = peer.checked = now_seconds();
    if (peer.max_fails != 0) {
      peer.effective_weight -= peer.weight / static_cast<int>(peer.max_fails);
      disabled = peer.fails >= peer.max_fails;
    }
    peer.effective_weight = std::max(peer.effective_weight, 0);
  } else if (peer.accessed < peer.checked) {
    peer.fails = 0;
  }
  group_.forget(peer);
  if (tries > 0) --tries;
  return disabled;
}

// ---- one peer

Pick OnePeer::pick(http::Request&) {
  Peer& peer = *group_.primary.first;
  if (peer.state != Peer::State::up || peer.full()) {
    target.name = group_.name;
    target.address = nullptr;
    return Pick::busy;
  }
  ++peer.conns;
  target.address = &peer.address;
  target.name = peer.name();
  target.sid = peer.sid();
  return Pick::ok;
}

void OnePeer::release(http::Request&, Release) {
  --group_.primary.first->conns;
  tries = 0;
}

Balancer* RoundRobinMethod::make(http::Request& request, Upstream& upstream) {
  return request.arena.make<RoundRobin>(request, *upstream.peers);
}

}  // namespace mp::upstream
