// LimitReqZone: the leaky buckets of one limit_req_zone, and the decision that several of them make about one
// request. Arithmetic and expiry are nginx's. A handle of one process, made with the configuration before the
// workers are forked. Times are milliseconds of the monotonic clock; rates, bursts and excesses count
// thousandths of a request.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/arena.hpp"
#include "base/shm/key_table.hpp"

namespace mp::http {

class LimitReqZone {
  struct State {
    std::uint64_t last;     // when it was accounted; 0: never yet
    std::int64_t excess;    // above the rate, at that moment
    std::uint32_t pending;  // requests that looked it up and have not settled
  };
  using Table = KeyTable<State>;

 public:
  using Ticket = Table::Ticket;

  static constexpr std::size_t kMaxKey = 65535;

  enum class Verdict : std::uint8_t {
    ok,         // within the burst, and accounted
    pending,    // within the burst; settle() or release() must follow at once
    busy,       // above the burst
    no_memory,  // not even the oldest entry could make way
  };
  struct Answer {
    Verdict verdict;
    std::int64_t excess;
    Ticket ticket;  // of a pending one
  };

  static std::size_t index_bytes(std::size_t zone_size) { return Table::index_bytes(zone_size); }

  // `rate` is a property of the configuration, not of the zone: a reload may change it.
  LimitReqZone(Zone& zone, bool fresh, std::uint64_t rate)
      : table_(zone, fresh), name_(zone.name()), rate_(rate) {}

  std::string_view name() const { return name_; }
  std::uint64_t rate() const { return rate_; }

  // `account`: the last word about this request. Keys are 1 to kMaxKey bytes.
  Answer lookup(std::string_view key, std::uint64_t now, std::uint64_t burst, bool account);
  std::int64_t settle(Ticket ticket, std::uint64_t now);  // accounts a pending one; the excess
  void release(Ticket ticket);                            // the request was rejected elsewhere

  // How long a request with this excess has to wait when `undelayed` of it pass at once.
  std::uint64_t delay_for(std::int64_t excess, std::uint64_t undelayed) const {
    if (excess <= static_cast<std::int64_t>(undelayed)) return 0;
    return (static_cast<std::uint64_t>(excess) - undelayed) * 1000 / rate_;
  }

 private:
  std::int64_t excess_at(const State& state, std::uint64_t now, std::uint64_t& elapsed) const;
  void expire(Table::Session& table, std::uint64_t now, bool by_force);

  Table table_;
  std::string_view name_;
  std::uint64_t rate_;
};

// One limit_req that applies to a request. `delay` is what passes undelayed; nodelay is a huge one.
struct LimitReqRule {
  LimitReqZone* zone;
  std::uint64_t burst;
  std::uint64_t delay;
};

struct LimitReqDecision {
  enum class Kind : std::uint8_t { none, pass, delay, reject, no_memory };
  Kind kind = Kind::none;  // none: no rule had a key
  std::uint64_t delay_ms = 0;
  std::int64_t excess = 0;  // what the log line shows, with the rule's zone
  const LimitReqRule* rule = nullptr;
};

// All rules in order; keys[i] belongs to rules[i], an empty key skips it. Either all of them account the
// request or none does.
LimitReqDecision limit_request(std::span<const LimitReqRule> rules, std::span<const std::string_view> keys,
                               std::uint64_t now, Arena& arena);

}  // namespace mp::http
