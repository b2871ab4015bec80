#include "conf/registry.hpp"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <utility>

namespace mp::conf {

namespace {

// Indices are given for the life of the process, so that registries made later (in tests, for one) do not
// move the types of earlier ones.
std::uint32_t next_index(Level level) {
  static std::array<std::atomic<std::uint32_t>, kLevels> next{};
  return next[std::size_t(level)]++;
}

void give_indices(std::span<const Module* const> modules, bool asked_always) {
  for (const Module* module : modules) {
    if (module->asked_always != asked_always) continue;
    for (const ConfType& type : module->confs) {
      if (*type.index == kNoIndex) *type.index = next_index(type.level);
    }
  }
}

// `include` never reaches a handler: the parser puts the included directives in its place. The row is there
// for its errors and for suggestions.
constexpr Directive kInclude = {
    .name = "include", .where = Scope::any, .args = exactly(1), .parse = [](Context&, const Node&) -> Status {
      return {};
    }};

// Optimal string alignment distance, or more than `limit`.
std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit) {
  constexpr std::size_t kMax = 64;
  if (a.size() > kMax || b.size() > kMax) return limit + 1;
  if (std::max(a.size(), b.size()) - std::min(a.size(), b.size()) > limit) return limit + 1;
  std::array<std::array<std::uint8_t, kMax + 1>, 3> rows{};  // two rows back, one back, current
  auto* before = &rows[0];
  auto* last = &rows[1];
  auto* row = &rows[2];
  for (std::size_t j = 0; j <= b.size(); ++j) (*last)[j] = std::uint8_t(j);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    (*row)[0] = std::uint8_t(i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      int cost = std::min({(*last)[j] + 1, (*row)[j - 1] + 1, (*last)[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost = std::min(cost, (*before)[j - 2] + 1);
      }
      (*row)[j] = std::uint8_t(cost);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return (*last)[b.size()];
}

}  // namespace

Registry::Registry(std::span<const Module* const> modules) : modules_(modules.begin(), modules.end()) {
  directives_[kInclude.name].push_back(&kInclude);
  give_indices(modules_, true);
  give_indices(modules_, false);
  for (const Module* module : modules_) {
    for (const Directive& directive : module->directives) {
      assert(directive.parse != nullptr);
      assert((directive.block == Block::lua) == directive.name.ends_with("_by_lua_block"));
      directives_[directive.name].push_back(&directive);
    }
    for (const ConfType& type : module->confs) {
      auto& size = set_sizes_[std::size_t(type.level)];
      size = std::max(size, *type.index + 1);
      types_[std::size_t(type.level)].push_back(&type);
    }
  }
}

std::span<const Directive* const> Registry::find(std::string_view name) const {
  const auto found = directives_.find(name);
  if (found == directives_.end()) return {};
  return found->second;
}

std::string_view Registry::nearest(std::string_view name, Scope scope) const {
  const std::size_t limit = std::min<std::size_t>(name.size() / 3, 3);
  std::size_t best = limit + 1;
  std::string_view best_name;
  for (const auto& [known, rows] : directives_) {
    const bool usable = std::any_of(rows.begin(), rows.end(),
                                    [&](const Directive* row) { return row->where.overlaps(scope); });
    if (!usable) continue;
    const std::size_t distance = edit_distance(name, known, limit);
    if (distance < best || (distance == best && distance <= limit && known < best_name)) {
      best = distance;
      best_name = known;
    }
  }
  return best_name;
}

std::string describe(Scope scope) {
  constexpr std::pair<Scope, std::string_view> kNames[] = {
      {Scope::main, "main"},
      {Scope::events, "events"},
      {Scope::http, "http"},
      {Scope::server, "server"},
      {Scope::server_if, "if in server"},
      {Scope::location, "location"},
      {Scope::location_if, "if in location"},
      {Scope::limit_except, "limit_except"},
      {Scope::upstream, "upstream"},
  };
  std::string out;
  for (const auto& [bit, name] : kNames) {
    if (!scope.overlaps(bit)) continue;
    if (!out.empty()) out += ", ";
    out += name;
  }
  return out;
}

}  // namespace mp::conf
