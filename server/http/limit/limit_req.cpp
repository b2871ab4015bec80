#include "http/limit/limit_req.hpp"

#include <algorithm>

namespace mp::http {
namespace {

// Entries idle for this long whose bucket ran empty may go.
constexpr std::int64_t kIdle = 60000;

}  // namespace

std::int64_t LimitReqZone::excess_at(const State& state, std::uint64_t now, std::uint64_t& elapsed) const {
  auto passed = static_cast<std::int64_t>(now - state.last);
  // Another worker's clock may be a little ahead; far ahead means that the entry is nonsense.
  if (passed < -kIdle) {
    passed = 1;
  } else if (passed < 0) {
    passed = 0;
  }
  elapsed = static_cast<std::uint64_t>(passed);
  const std::int64_t excess = state.excess - static_cast<std::int64_t>(rate_ * elapsed / 1000) + 1000;
  return std::max<std::int64_t>(excess, 0);
}

LimitReqZone::Answer LimitReqZone::lookup(std::string_view key, std::uint64_t now, std::uint64_t burst,
                                          bool account) {
  Table::Session table(table_);
  Table::Entry* entry = table.find(key);
  if (entry != nullptr) {
    State& state = entry->payload;
    std::uint64_t elapsed = 0;
    const std::int64_t excess = excess_at(state, now, elapsed);
    if (excess > static_cast<std::int64_t>(burst)) return {Verdict::busy, excess, {}};
    if (!account) {
      ++state.pending;
      return {Verdict::pending, excess, table.ticket(entry)};
    }
    state.excess = excess;
    if (elapsed != 0) state.last = now;
    return {Verdict::ok, excess, {}};
  }

  expire(table, now, false);
  entry = table.insert(key);
  if (entry == nullptr) {
    expire(table, now, true);
    entry = table.insert(key);
    if (entry == nullptr) return {Verdict::no_memory, 0, {}};
  }
  if (account) {
    entry->payload.last = now;
    return {Verdict::ok, 0, {}};
  }
  entry->payload.pending = 1;
  return {Verdict::pending, 0, table.ticket(entry)};
}

std::int64_t LimitReqZone::settle(Ticket ticket, std::uint64_t now) {
  Table::Session table(table_);
  Table::Entry* entry = table.redeem(ticket);
  if (entry == nullptr) return 0;
  State& state = entry->payload;
  std::uint64_t elapsed = 0;
  state.excess = excess_at(state, now, elapsed);
  if (elapsed != 0) state.last = now;
  --state.pending;
  return state.excess;
}

void LimitReqZone::release(Ticket ticket) {
  Table::Session table(table_);
  if (Table::Entry* entry = table.redeem(ticket)) --entry->payload.pending;
}

// Drops up to two idle entries; by force the oldest one before that.
void LimitReqZone::expire(Table::Session& table, std::uint64_t now, bool by_force) {
  for (int step = by_force ? 0 : 1; step < 3; ++step) {
    Table::Entry* oldest = table.oldest();
    // Whoever looks an entry up makes it the newest, so nothing older than a pending one is left.
    if (oldest == nullptr || oldest->payload.pending != 0) return;
    if (step != 0) {
      const State& state = oldest->payload;
      const auto passed = static_cast<std::int64_t>(now - state.last);
      const std::int64_t idle = passed < 0 ? -passed : passed;
      if (idle < kIdle) return;
      if (state.excess - static_cast<std::int64_t>(rate_ * static_cast<std::uint64_t>(idle) / 1000) > 0)
        return;
    }
    table.remove(oldest);
  }
}

LimitReqDecision limit_request(std::span<const LimitReqRule> rules, std::span<const std::string_view> keys,
                               std::uint64_t now, Arena& arena) {
  using Kind = LimitReqDecision::Kind;
  using Verdict = LimitReqZone::Verdict;
  auto* tickets = rules.size() > 1 ? arena.array<LimitReqZone::Ticket>(rules.size()) : nullptr;
  LimitReqDecision decision;

  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (keys[i].empty()) continue;
    const LimitReqRule& rule = rules[i];
    const bool last = i + 1 == rules.size();
    const LimitReqZone::Answer answer = rule.zone->lookup(keys[i], now, rule.burst, last);
    if (answer.verdict == Verdict::busy || answer.verdict == Verdict::no_memory) {
      for (std::size_t n = 0; n < i; ++n) {
        if (tickets[n]) rules[n].zone->release(tickets[n]);
      }
      return {answer.verdict == Verdict::busy ? Kind::reject : Kind::no_memory, 0, answer.excess, &rule};
    }
    decision.kind = Kind::pass;
    if (answer.verdict == Verdict::pending) {
      tickets[i] = answer.ticket;
    } else {
      decision.excess = answer.excess;
      decision.rule = &rule;
      decision.delay_ms = rule.zone->delay_for(answer.excess, rule.delay);
    }
  }

  // The others account it too, from the last to the first; the longest delay wins.
  for (std::size_t i = rules.size(); tickets != nullptr && i-- > 0;) {
    if (!tickets[i]) continue;
    const std::int64_t excess = rules[i].zone->settle(tickets[i], now);
    const std::uint64_t delay = rules[i].zone->delay_for(excess, rules[i].delay);
    if (delay > decision.delay_ms) {
      decision.delay_ms = delay;
      decision.excess = excess;
      decision.rule = &rules[i];
    }
  }
  if (decision.delay_ms > 0) decision.kind = Kind::delay;
  return decision;
}

}  // namespace mp::http
