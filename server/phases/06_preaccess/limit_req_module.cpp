// limit_req: requests a second by key, in leaky buckets that all workers share.
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include <fmt/core.h>

#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "fiber/scheduler.hpp"
#include "http/hangup.hpp"
#include "http/limit/limit_req.hpp"
#include "phases/06_preaccess/limit_settings.hpp"

namespace mp::phases {

using conf::Context;
using conf::Node;
using http::LimitReqDecision;
using http::LimitReqZone;
using http::Request;
using http::Step;

namespace {

constexpr std::int64_t kMaxNumber = std::numeric_limits<std::int64_t>::max() / 1000;

// What a limit_req_zone directive says; owned by its zone.
struct ReqZone {
  static constexpr char kTag = 0;
  static constexpr std::string_view kName = "limit_req";
  http::Template key;
  std::uint64_t rate = 1000;
  std::optional<LimitReqZone> store;  // from attach on
};

struct ReqLimit {
  Zone* zone;
  std::uint64_t burst;
  std::uint64_t delay;
};

using LimitReqConf = LimitConf<ReqLimit>;

// What became of the request; once for the client's request, whatever internal redirects follow.
struct LimitReqState {
  static constexpr bool kKeepOnRedirect = true;
  std::string_view status;
};

// ---- reading the configuration

// "10r/s", "30r/m" in thousandths of a request a second.
std::optional<std::uint64_t> parse_rate(std::string_view text) {
  std::int64_t seconds = 1;
  if (text.ends_with("r/s")) {
    text.remove_suffix(3);
  } else if (text.ends_with("r/m")) {
    text.remove_suffix(3);
    seconds = 60;
  }
  const auto number = parse_natural<std::int64_t>(text, kMaxNumber);
  if (!number || *number == 0) return std::nullopt;
  return static_cast<std::uint64_t>(*number * 1000 / seconds);
}

Status parse_zone(Context& ctx, const Node& node) {
  auto owner = std::make_shared<ReqZone>();
  auto key = http::Template::compile(ctx, node.args[0].text);
  if (!key) return ctx.error(node.args[0], key.error().text);
  owner->key = std::move(*key);
  ZoneArgument place{};
  for (const conf::Arg& arg : node.args.subspan(1)) {
    std::string_view value = arg.text;
    if (value.starts_with("zone=")) {
      auto read = read_zone_argument(ctx, arg);
      if (!read) return fail(read.error());
      place = *read;
    } else if (consume(value, "rate=")) {
      const auto rate = parse_rate(value);
      if (!rate) return ctx.error(arg, fmt::format("invalid rate \"{}\"", arg.text));
      owner->rate = *rate;
    } else {
      return ctx.error(arg, fmt::format("invalid parameter \"{}\"", arg.text));
    }
  }
  return declare_limit_zone<LimitReqZone>(ctx, node, place, owner, [](ReqZone& mine, Zone& zone, bool fresh) {
    mine.store.emplace(zone, fresh, mine.rate);
  });
}

std::optional<std::uint64_t> parse_positive(std::string_view text) {
  const auto number = parse_natural<std::int64_t>(text, kMaxNumber);
  if (!number || *number == 0) return std::nullopt;
  return static_cast<std::uint64_t>(*number) * 1000;
}

Status parse_limit(Context& ctx, const Node& node) {
  ReqLimit limit{nullptr, 0, 0};
  for (const conf::Arg& arg : node.args) {
    std::string_view value = arg.text;
    if (consume(value, "zone=")) {
      auto zone = ctx.conf<conf::ProcessWide>().zones.declare(value, 0, &ReqZone::kTag);
      if (!zone) return ctx.error(arg, zone.error().text);
      limit.zone = *zone;
    } else if (consume(value, "burst=")) {
      const auto burst = parse_positive(value);
      if (!burst) return ctx.error(arg, fmt::format("invalid burst value \"{}\"", arg.text));
      limit.burst = *burst;
    } else if (consume(value, "delay=")) {
      const auto delay = parse_positive(value);
      if (!delay) return ctx.error(arg, fmt::format("invalid delay value \"{}\"", arg.text));
      limit.delay = *delay;
    } else if (value == "nodelay") {
      limit.delay = static_cast<std::uint64_t>(kMaxNumber) * 1000;
    } else {
      return ctx.error(arg, fmt::format("invalid parameter \"{}\"", arg.text));
    }
  }
  if (limit.zone == nullptr) return ctx.error(fmt::format("\"{}\" must have \"zone\" parameter", node.name));
  auto& settings = ctx.conf<LimitReqConf>();
  if (settings.has(limit.zone)) return conf::duplicate();
  settings.limits.push_back(limit);
  return {};
}

Status define_variables(Context& ctx) {
  return define_limit_status<LimitReqState>(ctx, "limit_req_status");
}

// ---- serving

std::string_view key_of(Request& r, const ReqZone& zone) {
  const std::string_view key = zone.key.evaluate(r);
  if (key.size() <= LimitReqZone::kMaxKey) return key;
  log::error(r.logger, "the value of the \"{}\" key is more than 65535 bytes: \"{}\"", zone.key.source(),
             key);
  return {};
}

LimitReqDecision decide(Request& r, const std::vector<ReqLimit>& limits) {
  auto* rules = r.arena.array<http::LimitReqRule>(limits.size());
  auto* keys = r.arena.array<std::string_view>(limits.size());
  for (std::size_t i = 0; i < limits.size(); ++i) {
    ReqZone& zone = *limits[i].zone->owner<ReqZone>();
    rules[i] = {&*zone.store, limits[i].burst, limits[i].delay};
    keys[i] = key_of(r, zone);
  }
  return http::limit_request({rules, limits.size()}, {keys, limits.size()}, fiber::now(), r.arena);
}

// Delays are one level less important than refusals.
log::Level delay_level(log::Level refusals) {
  return refusals == log::Level::info ? refusals : static_cast<log::Level>(static_cast<int>(refusals) + 1);
}

constexpr conf::Directive kDirectives[] = {
    {.name = "limit_req_zone", .where = conf::Scope::http, .args = conf::exactly(3), .parse = parse_zone},
    {.name = "limit_req",
     .where = conf::kHttpServerLocation,
     .args = conf::between(1, 3),
     .parse = parse_limit},
    limit_log_level<&LimitReqConf::log_level>("limit_req_log_level"),
    limit_status<&LimitReqConf::status>("limit_req_status"),
    limit_dry_run<&LimitReqConf::dry_run>("limit_req_dry_run"),
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<LimitReqConf>()};

}  // namespace

Step limit_requests(Request& r) {
  const auto& c = r.conf<LimitReqConf>();
  if (c.limits.empty()) return Step::decline();
  auto& state = r.main->ctx<LimitReqState>();
  if (!state.status.empty()) return Step::decline();

  const LimitReqDecision decision = decide(r, c.limits);
  const auto dry = c.dry_run ? std::string_view(", dry run") : std::string_view();
  switch (decision.kind) {
    case LimitReqDecision::Kind::none:
      return Step::decline();
    case LimitReqDecision::Kind::no_memory:
      return c.refuse(state.status);
    case LimitReqDecision::Kind::reject:
      log::write(c.log_level.get(), r.logger, "limiting requests{}, excess: {}.{:03} by zone \"{}\"", dry,
                 decision.excess / 1000, decision.excess % 1000, decision.rule->zone->name());
      return c.refuse(state.status);
    case LimitReqDecision::Kind::pass:
      state.status = "PASSED";
      return Step::decline();
    case LimitReqDecision::Kind::delay:
      break;
  }
  log::write(delay_level(c.log_level.get()), r.logger, "delaying request{}, excess: {}.{:03}, by zone \"{}\"",
             dry, decision.excess / 1000, decision.excess % 1000, decision.rule->zone->name());
  state.status = c.dry_run ? "DELAYED_DRY_RUN" : "DELAYED";
  if (c.dry_run) return Step::decline();
  const http::CancelOnHangup watch(r);
  fiber::sleep_for(decision.delay_ms);
  return Step::decline();
}

const conf::Module kLimitReqModule = {
    .name = "http_limit_req", .directives = kDirectives, .confs = kConfs, .before_http = define_variables};

}  // namespace mp::phases
