// RoundRobin: nginx's smooth weighted round robin over a PeerGroup, with failures, connection limits and
// backup servers; the base of the other balancing methods.
#pragma once

#include <cstdint>

#include "upstream/balancer.hpp"
#include "upstream/peer.hpp"

namespace mp::upstream {

class RoundRobin : public Balancer {
 public:
  RoundRobin(http::Request& request, PeerGroup& group);

  Pick pick(http::Request& request) override;
  void release(http::Request& request, Release outcome) override;

 protected:
  // Chooses out of list(); null when none can be used. The group is locked.
  virtual Peer* choose(std::int64_t now) { return choose_by_weight(now); }

  Peer* choose_by_weight(std::int64_t now);
  // The peer the sticky session asked for, when it can be used.
  Peer* hinted(std::int64_t now);

  PeerList& list() { return *list_; }
  PeerGroup& group() { return group_; }
  bool tried(unsigned index) const { return (tried_[index / 64] >> (index % 64) & 1) != 0; }
  // Remembers the place of what choose() returns.
  Peer* chosen(Peer* peer, unsigned index) {
    index_ = index;
    return peer;
  }

 private:
  void take(Peer& peer, std::int64_t now);
  bool settle(Peer& peer, Release outcome);
  bool go_to_backup();

  PeerGroup& group_;
  PeerList* list_;
  Peer* current_ = nullptr;
  unsigned index_ = 0;
  std::uint32_t version_;
  std::uint64_t few_ = 0;
  std::uint64_t* tried_ = &few_;
  unsigned words_ = 1;
};

// The same where there is one peer, which nobody else can change: it is asked as long as it is up and not
// full, and its failures do not count.
class OnePeer final : public Balancer {
 public:
  explicit OnePeer(PeerGroup& group) : group_(group) { tries = group.tries(); }

  static bool fits(const PeerGroup& group) { return group.primary.single && !group.shared && !group.dynamic; }

  Pick pick(http::Request& request) override;
  void release(http::Request& request, Release outcome) override;

 private:
  PeerGroup& group_;
};

// The method of an upstream that names none.
class RoundRobinMethod final : public Method {
 public:
  Balancer* make(http::Request& request, Upstream& upstream) override;
};

}  // namespace mp::upstream
