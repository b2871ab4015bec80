// limit_conn: requests in progress by key, counted over all workers.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "base/numbers.hpp"
#include "conf/process_conf.hpp"
#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "http/limit/limit_conn.hpp"
#include "http/request.hpp"
#include "phases/06_preaccess/limit_modules.hpp"

namespace mp::phases {

using conf::Context;
using conf::Node;
using http::LimitConnZone;
using http::Request;
using http::Step;

namespace {

constexpr char kZoneTag = 0;

// What a limit_conn_zone directive says; owned by its zone.
struct ConnZone {
  http::Template key;
  std::optional<LimitConnZone> store;  // from attach on
};

struct ConnLimit {
  Zone* zone;
  std::uint32_t connections;
};

struct LimitConnConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  std::vector<ConnLimit> limits;
  conf::Setting<log::Level> log_level;
  conf::Setting<std::int64_t> status;
  conf::Setting<bool> dry_run;

  Status merge(Context&, const LimitConnConf& parent) {
    if (limits.empty()) limits = parent.limits;
    log_level.inherit(parent.log_level, log::Level::error);
    status.inherit(parent.status, 503);
    dry_run.inherit(parent.dry_run, false);
    return {};
  }
};

// The places a request takes, until it ends.
struct LimitConnState {
  static constexpr bool kKeepOnRedirect = true;
  struct Held {
    LimitConnZone::Hold hold;
    Held* next = nullptr;
  };
  std::string_view status;
  Held* held = nullptr;

  void release() {
    for (; held != nullptr; held = held->next) held->hold.reset();
  }
};

// ---- reading the configuration

Status attach(const std::shared_ptr<ConnZone>& owner, Zone& zone, const Zone* previous) {
  const auto* before = previous != nullptr ? previous->owner<ConnZone>() : nullptr;
  if (before != nullptr && before->key.source() != owner->key.source()) {
    return fail(
        fmt::format("limit_conn_zone \"{}\" uses the \"{}\" key while previously it used the \"{}\" key",
                    zone.name(), owner->key.source(), before->key.source()));
  }
  owner->store.emplace(zone, previous == nullptr);
  return {};
}

Status parse_zone(Context& ctx, const Node& node) {
  auto owner = std::make_shared<ConnZone>();
  auto key = http::Template::compile(ctx, node.args[0].text);
  if (!key) return ctx.error(node.args[0], key.error().text);
  owner->key = std::move(*key);
  const conf::Arg& arg = node.args[1];
  if (!arg.text.starts_with("zone="))
    return ctx.error(arg, fmt::format("invalid parameter \"{}\"", arg.text));
  auto place = read_zone_argument(ctx, arg);
  if (!place) return fail(place.error());
  if (place->name.empty()) return ctx.error(fmt::format("\"{}\" must have \"zone\" parameter", node.name));
  auto zone = ctx.conf<conf::ProcessWide>().zones.declare(place->name, place->size, &kZoneTag);
  if (!zone) return ctx.error(zone.error().text);
  if (const auto* other = (*zone)->owner<ConnZone>()) {
    return ctx.error(
        fmt::format("{} \"{}\" is already bound to key \"{}\"", node.name, place->name, other->key.source()));
  }
  (*zone)->set_owner(owner);
  std::weak_ptr<ConnZone> weak = owner;  // the zone owns both the object and this function
  (*zone)->on_attach(
      LimitConnZone::index_bytes(place->size),
      [weak](Zone& z, const Zone* previous) -> Status { return attach(weak.lock(), z, previous); });
  return {};
}

Status parse_limit(Context& ctx, const Node& node) {
  auto zone = ctx.conf<conf::ProcessWide>().zones.declare(node.args[0].text, 0, &kZoneTag);
  if (!zone) return ctx.error(node.args[0], zone.error().text);
  auto& limits = ctx.conf<LimitConnConf>().limits;
  for (const ConnLimit& other : limits) {
    if (other.zone == *zone) return conf::duplicate();
  }
  const auto number = parse_natural<std::int64_t>(node.args[1].text);
  if (!number || *number == 0) {
    return ctx.error(node.args[1], fmt::format("invalid number of connections \"{}\"", node.args[1].text));
  }
  if (*number > 65535) return ctx.error(node.args[1], "connection limit must be less 65536");
  limits.push_back({*zone, static_cast<std::uint32_t>(*number)});
  return {};
}

Status define_variables(Context& ctx) {
  ctx.conf<http::CoreMain>().variables.define(
      http::Variable{.name = "limit_conn_status",
                     .get =
                         [](Request& r, const http::Variable&) {
                           const auto* state = r.main->find_ctx<LimitConnState>();
                           return state != nullptr && !state->status.empty() ? http::Value::of(state->status)
                                                                             : http::Value::none();
                         },
                     .cacheable = false});
  return {};
}

// ---- serving

Step refuse(const LimitConnConf& c, LimitConnState& state) {
  state.release();
  state.status = c.dry_run ? "REJECTED_DRY_RUN" : "REJECTED";
  return c.dry_run ? Step::decline() : Step::finish(static_cast<int>(c.status));
}

constexpr conf::Named<log::Level> kLogLevels[] = {{"info", log::Level::info},
                                                  {"notice", log::Level::notice},
                                                  {"warn", log::Level::warn},
                                                  {"error", log::Level::error}};

constexpr conf::Directive kDirectives[] = {
    {.name = "limit_conn_zone", .where = conf::Scope::http, .args = conf::exactly(2), .parse = parse_zone},
    {.name = "limit_conn",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(2),
     .parse = parse_limit},
    {.name = "limit_conn_log_level",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set_enum<&LimitConnConf::log_level, kLogLevels>},
    {.name = "limit_conn_status",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set_between<&LimitConnConf::status, 400, 599>},
    {.name = "limit_conn_dry_run",
     .where = conf::kHttpServerLocation,
     .args = conf::flag(),
     .parse = conf::set<&LimitConnConf::dry_run>},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<LimitConnConf>()};

}  // namespace

Step limit_connections(Request& r) {
  const auto& c = r.conf<LimitConnConf>();
  if (c.limits.empty()) return Step::decline();
  Request& client = *r.main;
  auto& state = client.ctx<LimitConnState>();
  if (!state.status.empty()) return Step::decline();

  for (const ConnLimit& limit : c.limits) {
    ConnZone& zone = *limit.zone->owner<ConnZone>();
    const std::string_view key = zone.key.evaluate(r);
    if (key.empty()) continue;
    if (key.size() > LimitConnZone::kMaxKey) {
      log::error(r.logger, "the value of the \"{}\" key is more than 255 bytes: \"{}\"", zone.key.source(),
                 key);
      continue;
    }
    state.status = "PASSED";
    auto* held = client.arena.make<LimitConnState::Held>();
    switch (zone.store->acquire(key, limit.connections, held->hold)) {
      case LimitConnZone::Verdict::ok:
        break;
      case LimitConnZone::Verdict::no_memory:
        return refuse(c, state);
      case LimitConnZone::Verdict::busy:
        log::write(c.log_level.get(), r.logger, "limiting connections{} by zone \"{}\"",
                   c.dry_run ? ", dry run," : "", zone.store->name());
        return refuse(c, state);
    }
    held->next = state.held;
    state.held = held;
  }
  return Step::decline();
}

const conf::Module kLimitConnModule = {
    .name = "http_limit_conn", .directives = kDirectives, .confs = kConfs, .before_http = define_variables};

}  // namespace mp::phases
