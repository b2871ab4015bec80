#include "http/plan.hpp"

#include <cassert>
#include <vector>

#include "conf/configuration.hpp"

namespace mp::http {
namespace {

constexpr std::uint32_t bit(Phase phase) {
  return 1u << static_cast<int>(phase);
}

// What the engine does in them itself needs no handlers.
constexpr std::uint32_t kEnginesPhases =
    bit(Phase::find_config) | bit(Phase::post_rewrite) | bit(Phase::content) | bit(Phase::log);

template <class Function>
Plan::Rows rows_for(const conf::Configuration& configuration, const conf::ConfSet& set,
                    std::span<const Row<Function>> rows) {
  assert(rows.size() < static_cast<std::size_t>(std::numeric_limits<Plan::Rows>::digits));
  Plan::Rows wanted = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row<Function>& row = rows[i];
    const bool runs = row.wanted != nullptr
                          ? row.wanted(set.around)
                          : row.module == nullptr || !configuration.untouched(*row.module, set);
    if (runs) wanted |= Plan::Rows{1} << i;
  }
  return wanted;
}

}  // namespace

void make_plans(conf::Context& ctx, const PhaseTable& table) {
  const conf::Configuration& configuration = ctx.configuration();
  std::vector<Plan*> different;
  const auto share = [&](const Plan& plan) {
    for (Plan* known : different) {
      if (*known == plan) return known;
    }
    return different.emplace_back(ctx.arena().make<Plan>(plan));
  };
  for (conf::ConfSet* set : configuration.sets(conf::Level::location)) {
    Plan plan;
    plan.phases = kEnginesPhases;
    for (int phase = 0; phase < kPhases; ++phase) {
      plan.handlers[phase] = rows_for(configuration, *set, table.handlers[phase]);
      if (plan.handlers[phase] != 0) plan.phases |= bit(static_cast<Phase>(phase));
    }
    plan.header_filters = rows_for(configuration, *set, table.header_filters);
    set->slots()[conf::conf_index<Plan>] = share(plan);
  }
}

}  // namespace mp::http
