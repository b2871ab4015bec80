// Plan: which handlers and header filters have something to do in a block. A row of a list may name the
// module whose directives it obeys; where nothing of that module was set, in the block nor around it, the row
// is passed over. Or it asks a function of its own. So a request meets only the code its configuration asks
// for. Each location-level set of a configuration has one, shared by those with equal plans; made after
// merging, constant after.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <iterator>
#include <limits>
#include <span>

#include "conf/module.hpp"
#include "http/request.hpp"
#include "http/step.hpp"

namespace mp::http {

// A row of a list in running order.
template <class Function>
struct Row {
  Row(Function function) : run(function) {}
  Row(Function function, const conf::Module& wanted_by) : run(function), module(&wanted_by) {}
  Row(Function function, bool (*wanted_in)(const conf::Sets& sets)) : run(function), wanted(wanted_in) {}

  Function run;
  const conf::Module* module = nullptr;
  bool (*wanted)(const conf::Sets& sets) = nullptr;  // both null: it always runs
};
using PhaseRow = Row<Handler>;
using FilterRow = Row<void (*)(Request&)>;

// What each phase runs, in order: filled from server/phases by the list of modules. Phases without handlers
// of their own (find_config, post_rewrite, post_access) are the engine's.
struct PhaseTable {
  std::span<const PhaseRow> handlers[kPhases];
  std::span<const FilterRow> header_filters;  // server/filters/order.cpp
  std::span<void (*const)(Request&)> log_handlers;
};

struct Plan {
  static constexpr conf::Level kLevel = conf::Level::location;
  using Rows = std::uint32_t;  // a bit for each row
  static constexpr Rows kAll = std::numeric_limits<Rows>::max();

  Plan() { std::fill(std::begin(handlers), std::end(handlers), kAll); }
  Rows handlers[kPhases];
  std::uint32_t phases = kAll;  // a bit for each that has something to do
  Rows header_filters = kAll;

  // The first of `phase` and those behind it that has.
  Phase next(Phase phase) const {
    const int at = static_cast<int>(phase);
    return static_cast<Phase>(at + std::countr_zero(phases >> at));
  }

  bool operator==(const Plan&) const = default;
};

// Gives every block of the configuration that was just merged its plan.
void make_plans(conf::Context& ctx, const PhaseTable& table);

// Those of so many rows that lie behind row `i` and that the block in force has.
template <class Mask>
[[gnu::noinline]] Plan::Rows rows_behind(const Request& r, std::size_t rows, Mask mask, int i) {
  return mask(r.conf<Plan>()) & ((Plan::Rows{1} << rows) - 1) & (~Plan::Rows{1} << i);
}

// Calls the functions of the rows that `mask(plan)` has, in order, until `call` gives false. A row may put
// another block in force: the plan of that one counts from there.
template <class Function, class Mask, class Call>
[[gnu::always_inline]] inline void run_rows(const Request& r, std::span<const Row<Function>> rows, Mask mask,
                                            Call call) {
  const conf::ConfSet* block = r.sets[conf::Level::location];
  Plan::Rows left = mask(r.conf<Plan>()) & ((Plan::Rows{1} << rows.size()) - 1);
  while (left != 0) {
    const int i = std::countr_zero(left);
    left &= left - 1;
    if (!call(rows[static_cast<std::size_t>(i)].run)) return;
    if (r.sets[conf::Level::location] == block) [[likely]]
      continue;
    block = r.sets[conf::Level::location];
    left = rows_behind(r, rows.size(), mask, i);
  }
}

}  // namespace mp::http
