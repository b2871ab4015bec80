// limit_conn: requests in progress by key, counted over all workers.
#include <memory>
#include <optional>

#include <fmt/core.h>

#include "base/numbers.hpp"
#include "http/limit/limit_conn.hpp"
#include "phases/06_preaccess/limit_settings.hpp"

namespace mp::phases {

using conf::Context;
using conf::Node;
using http::LimitConnZone;
using http::Request;
using http::Step;

namespace {

// What a limit_conn_zone directive says; owned by its zone.
struct ConnZone {
  static constexpr char kTag = 0;
  static constexpr std::string_view kName = "limit_conn_zone";
  http::Template key;
  std::optional<LimitConnZone> store;  // from attach on
};

struct ConnLimit {
  Zone* zone;
  std::uint32_t connections;
};

using LimitConnConf = LimitConf<ConnLimit>;

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
  return declare_limit_zone<LimitConnZone>(
      ctx, node, *place, owner,
      [](ConnZone& mine, Zone& zone, bool fresh) { mine.store.emplace(zone, fresh); });
}

Status parse_limit(Context& ctx, const Node& node) {
  auto zone = ctx.conf<conf::ProcessWide>().zones.declare(node.args[0].text, 0, &ConnZone::kTag);
  if (!zone) return ctx.error(node.args[0], zone.error().text);
  auto& settings = ctx.conf<LimitConnConf>();
  if (settings.has(*zone)) return conf::duplicate();
  const auto number = parse_natural<std::int64_t>(node.args[1].text);
  if (!number || *number == 0) {
    return ctx.error(node.args[1], fmt::format("invalid number of connections \"{}\"", node.args[1].text));
  }
  if (*number > 65535) return ctx.error(node.args[1], "connection limit must be less 65536");
  settings.limits.push_back({*zone, static_cast<std::uint32_t>(*number)});
  return {};
}

Status define_variables(Context& ctx) {
  return define_limit_status<LimitConnState>(ctx, "limit_conn_status");
}

// ---- serving

Step refuse(const LimitConnConf& c, LimitConnState& state) {
  state.release();
  return c.refuse(state.status);
}

constexpr conf::Directive kDirectives[] = {
    {.name = "limit_conn_zone", .where = conf::Scope::http, .args = conf::exactly(2), .parse = parse_zone},
    {.name = "limit_conn",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(2),
     .parse = parse_limit},
    limit_log_level<&LimitConnConf::log_level>("limit_conn_log_level"),
    limit_status<&LimitConnConf::status>("limit_conn_status"),
    limit_dry_run<&LimitConnConf::dry_run>("limit_conn_dry_run"),
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
