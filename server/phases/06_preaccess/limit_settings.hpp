// What limit_req and limit_conn have in common: settings, refusals, and zones that are counted by a key.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/core.h>

#include "conf/process_conf.hpp"
#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"
#include "phases/06_preaccess/limit_modules.hpp"

namespace mp::phases {

// The settings of a location. `Limit` names its zone in a member `zone`.
template <typename Limit>
struct LimitConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  std::vector<Limit> limits;
  conf::Setting<log::Level> log_level;
  conf::Setting<std::int64_t> status;
  conf::Setting<bool> dry_run;

  Status merge(conf::Context&, const LimitConf& parent) {
    if (limits.empty()) limits = parent.limits;
    log_level.inherit(parent.log_level, log::Level::error);
    status.inherit(parent.status, 503);
    dry_run.inherit(parent.dry_run, false);
    return {};
  }

  bool has(const Zone* zone) const {
    for (const Limit& limit : limits) {
      if (limit.zone == zone) return true;
    }
    return false;
  }

  // The end of a request that is too much, or its way on in a dry run; `status_text` is told to the variable.
  http::Step refuse(std::string_view& status_text) const {
    status_text = dry_run ? "REJECTED_DRY_RUN" : "REJECTED";
    return dry_run ? http::Step::decline() : http::Step::finish(static_cast<int>(status));
  }
};

inline constexpr conf::Named<log::Level> kLimitLogLevels[] = {{"info", log::Level::info},
                                                              {"notice", log::Level::notice},
                                                              {"warn", log::Level::warn},
                                                              {"error", log::Level::error}};

// The directives *_log_level, *_status and *_dry_run.
template <auto LogLevel>
constexpr conf::Directive limit_log_level(std::string_view name) {
  return {.name = name,
          .where = conf::kHttpServerLocation,
          .args = conf::exactly(1),
          .parse = conf::set_enum<LogLevel, kLimitLogLevels>};
}
template <auto Code>
constexpr conf::Directive limit_status(std::string_view name) {
  return {.name = name,
          .where = conf::kHttpServerLocation,
          .args = conf::exactly(1),
          .parse = conf::set_between<Code, 400, 599>};
}
template <auto DryRun>
constexpr conf::Directive limit_dry_run(std::string_view name) {
  return {.name = name, .where = conf::kHttpServerLocation, .args = conf::flag(), .parse = conf::set<DryRun>};
}

// A variable with what became of the client's request: the `status` of its State, once there is one.
template <typename State>
Status define_limit_status(conf::Context& ctx, std::string_view name) {
  ctx.conf<http::CoreMain>().variables.define(
      http::Variable{.name = name,
                     .get =
                         [](http::Request& r, const http::Variable&) {
                           const auto* state = r.main->find_ctx<State>();
                           return state != nullptr && !state->status.empty() ? http::Value::of(state->status)
                                                                             : http::Value::none();
                         },
                     .cacheable = false});
  return {};
}

// Declares the zone of a *_zone directive and gives it `owner`: an object with a `key` (Template), the tag of
// its zones (kTag), and the name that refusals of a changed key use (kName). `open(owner, zone, fresh)` is
// called when the zone's memory is there. A zone that lives on over a reload must keep its key.
template <typename Store, typename Owner, typename Open>
Status declare_limit_zone(conf::Context& ctx, const conf::Node& node, const ZoneArgument& place,
                          const std::shared_ptr<Owner>& owner, Open open) {
  if (place.name.empty()) return ctx.error(fmt::format("\"{}\" must have \"zone\" parameter", node.name));
  auto zone = ctx.conf<conf::ProcessWide>().zones.declare(place.name, place.size, &Owner::kTag);
  if (!zone) return ctx.error(zone.error().text);
  if (const auto* other = (*zone)->template owner<Owner>()) {
    return ctx.error(
        fmt::format("{} \"{}\" is already bound to key \"{}\"", node.name, place.name, other->key.source()));
  }
  (*zone)->set_owner(owner);
  std::weak_ptr<Owner> weak = owner;  // the zone owns both the object and this function
  (*zone)->on_attach(Store::index_bytes(place.size), [weak, open](Zone& z, const Zone* previous) -> Status {
    const auto mine = weak.lock();
    const auto* before = previous != nullptr ? previous->owner<Owner>() : nullptr;
    if (before != nullptr && before->key.source() != mine->key.source()) {
      return fail(fmt::format("{} \"{}\" uses the \"{}\" key while previously it used the \"{}\" key",
                              Owner::kName, z.name(), mine->key.source(), before->key.source()));
    }
    open(*mine, z, previous == nullptr);
    return {};
  });
  return {};
}

}  // namespace mp::phases
