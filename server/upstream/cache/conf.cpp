#include "upstream/cache/conf.hpp"

#include <algorithm>
#include <optional>
#include <string>

#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "conf/configuration.hpp"
#include "conf/process_conf.hpp"
#include "http/used_paths.hpp"
#include "upstream/transfer_conf.hpp"

namespace mp::upstream {
namespace {

using conf::Arg;
using conf::Context;
using conf::Node;

std::string quoted(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

ZoneTable& zones_of(Context& ctx) {
  return ctx.configuration().root().get<conf::ProcessWide>().zones;
}

// What an X_cache_path line says.
struct PathLine {
  conf::LevelledPath path;
  CacheLimits limits;
  std::string_view zone;
  std::int64_t zone_size = 0;
};

Status read_levels(Context& ctx, const Arg& arg, std::string_view text, conf::LevelledPath& path) {
  std::size_t level = 0;
  for (std::string_view part : split(text, ':')) {
    if (level == 3 || (part != "1" && part != "2"))
      return ctx.error(arg, "invalid \"levels\" " + quoted(arg.text));
    path.levels[level++] = static_cast<std::uint8_t>(part[0] - '0');
  }
  return {};
}

Status read_zone(Context& ctx, const Arg& arg, std::string_view text, PathLine& line) {
  const std::size_t colon = text.find(':');
  const auto size = colon == std::string_view::npos ? std::nullopt : parse_size(text.substr(colon + 1));
  if (!size) return ctx.error(arg, "invalid keys zone size " + quoted(arg.text));
  if (*size < static_cast<std::int64_t>(2 * kShmPage)) {
    return ctx.error(arg, "keys zone " + quoted(arg.text) + " is too small");
  }
  line.zone = text.substr(0, colon);
  line.zone_size = *size;
  return {};
}

struct NumberParameter {
  std::string_view name;
  std::int64_t CacheLimits::* member;
  std::optional<std::int64_t> (*parse)(std::string_view);
};

std::optional<std::int64_t> parse_count(std::string_view text) {
  return parse_natural<std::int64_t>(text);
}

constexpr NumberParameter kNumbers[] = {
    {"inactive", &CacheLimits::inactive, parse_seconds},
    {"max_size", &CacheLimits::max_size, parse_offset},
    {"min_free", &CacheLimits::min_free, parse_offset},
    {"loader_files", &CacheLimits::loader_files, parse_count},
    {"loader_sleep", &CacheLimits::loader_sleep, parse_milliseconds},
    {"loader_threshold", &CacheLimits::loader_threshold, parse_milliseconds},
    {"manager_files", &CacheLimits::manager_files, parse_count},
    {"manager_sleep", &CacheLimits::manager_sleep, parse_milliseconds},
    {"manager_threshold", &CacheLimits::manager_threshold, parse_milliseconds},
};

Status read_path_parameter(Context& ctx, const Arg& arg, PathLine& line) {
  std::string_view text = arg.text;
  if (consume(text, "levels=")) return read_levels(ctx, arg, text, line.path);
  if (consume(text, "keys_zone=")) return read_zone(ctx, arg, text, line);
  if (consume(text, "use_temp_path=")) {
    if (text != "on" && text != "off") {
      return ctx.error(arg,
                       "invalid use_temp_path value " + quoted(arg.text) + ", it must be \"on\" or \"off\"");
    }
    line.limits.use_temp_path = text == "on";
    return {};
  }
  const std::size_t equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  for (const NumberParameter& number : kNumbers) {
    if (equals == std::string_view::npos || name != number.name) continue;
    const auto value = number.parse(text.substr(equals + 1));
    if (!value || *value < 0)
      return ctx.error(arg, "invalid " + std::string(name) + " value " + quoted(arg.text));
    line.limits.*number.member = *value;
    return {};
  }
  return ctx.error(arg, "invalid parameter " + quoted(arg.text));
}

Status attach(Zone& zone, const Zone* previous) {
  return zone.owner<CacheZone>()->attach(zone, previous);
}

}  // namespace

Status parse_cache_path(Context& ctx, const Node& node) {
  PathLine line;
  std::string_view path = node.args[0].text;
  if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  line.path.path = ctx.full_path(path);
  for (const Arg& arg : node.args.subspan(1)) TRY(read_path_parameter(ctx, arg, line));
  if (line.zone.empty() || line.zone_size == 0) {
    return ctx.error(node, quoted(node.name) + " must have \"keys_zone\" parameter");
  }
  TRY(http::use_cache_path(ctx, line.path, node));
  const auto size = static_cast<std::size_t>(line.zone_size);
  auto declared = zones_of(ctx).declare(line.zone, size, &CacheZone::kTag);
  if (!declared) return ctx.error(node, declared.error().text);
  Zone& zone = **declared;
  if (zone.owner<CacheZone>() != nullptr) return ctx.error(node, "duplicate zone " + quoted(line.zone));
  ctx.conf<CacheZones>().all.push_back(&zone);
  zone.set_owner(std::make_shared<CacheZone>(zone.name(), line.path, line.limits));
  zone.on_attach(CacheZone::index_bytes(size), attach);
  auto& folders = ctx.configuration().root().get<conf::ProcessWide>().folders;
  if (std::find(folders.begin(), folders.end(), line.path.path) == folders.end()) {
    folders.emplace_back(line.path.path);
  }
  return {};
}

Status parse_cache(Context& ctx, const Node& node, CacheConf& cache) {
  if (cache.choice.is_set()) return conf::duplicate();
  const std::string_view text = node.args[0].text;
  CacheChoice choice;
  if (http::has_variables(text)) {
    auto name = http::Template::compile(ctx, text);
    if (!name) return ctx.error(node.args[0], name.error().text);
    choice.name = std::move(*name);
  } else if (text != "off") {
    auto zone = zones_of(ctx).declare(text, 0, &CacheZone::kTag);
    if (!zone) return ctx.error(node.args[0], zone.error().text);
    choice.zone = *zone;
  }
  cache.choice.set(std::move(choice));
  return {};
}

// The last argument is the time, those before are statuses; without any, the usual three.
Status parse_cache_valid(Context& ctx, const Node& node, CacheConf& cache) {
  const Arg& last = node.args.back();
  const auto seconds = parse_seconds(last.text);
  if (!seconds) return ctx.error(last, "invalid time value " + quoted(last.text));
  if (cache.valid == nullptr) cache.valid = std::make_shared<std::vector<CacheValid>>();
  if (node.args.size() == 1) {
    for (int status : {200, 301, 302}) cache.valid->push_back({status, *seconds});
    return {};
  }
  for (const Arg& arg : node.args.first(node.args.size() - 1)) {
    if (arg.text == "any") {
      cache.valid->push_back({0, *seconds});
      continue;
    }
    const auto status = parse_natural<int>(arg.text);
    if (!status || *status < 100 || *status > 599)
      return ctx.error(arg, "invalid status " + quoted(arg.text));
    cache.valid->push_back({*status, *seconds});
  }
  return {};
}

Status parse_cache_methods(Context& ctx, const Node& node, CacheConf& cache) {
  static constexpr conf::Named<http::Method> kMethods[] = {
      {"GET", http::Method::get}, {"HEAD", http::Method::head}, {"POST", http::Method::post}};
  std::uint64_t bits = cache.methods.is_set() ? cache.methods.get() : 0;
  for (const Arg& arg : node.args) {
    std::uint64_t bit = 0;
    TRY(conf::detail::find_in(ctx, arg, kMethods, bit));
    TRY(conf::detail::add_bit(ctx, arg, bit, bits));
  }
  cache.methods.set(bits);
  return {};
}

Status parse_cache_use_stale(Context& ctx, const Node& node, CacheConf& cache) {
  return parse_bits(ctx, node, cache.use_stale, kNextUpstreamNames);
}

Status CacheConf::merge(Context& ctx, const CacheConf& parent, std::string_view prefix) {
  choice.inherit(parent.choice);
  key.inherit(parent.key);
  if (valid == nullptr) valid = parent.valid;
  bypass.inherit(parent.bypass);
  no_cache.inherit(parent.no_cache);
  min_uses.inherit(parent.min_uses, 1);
  max_range_offset.inherit(parent.max_range_offset, kAnyOffset);
  use_stale.inherit(parent.use_stale, 0);
  if ((use_stale & kNextOff) != 0) use_stale.set(0);
  if ((use_stale & kFailedError) != 0) use_stale.edit() |= kNoLive;
  methods.inherit(parent.methods, 0);
  methods.edit() |=
      static_cast<std::uint64_t>(http::Method::get) | static_cast<std::uint64_t>(http::Method::head);
  lock.inherit(parent.lock, false);
  lock_timeout.inherit(parent.lock_timeout, 5000);
  lock_age.inherit(parent.lock_age, 5000);
  revalidate.inherit(parent.revalidate, false);
  convert_head.inherit(parent.convert_head, true);
  background_update.inherit(parent.background_update, false);
  if (choice->zone != nullptr && choice->zone->owner<CacheZone>() == nullptr) {
    return ctx.error(quoted(std::string(prefix) + "_cache") + " zone " + quoted(choice->zone->name()) +
                     " is unknown");
  }
  return {};
}

std::int64_t CacheConf::valid_for(int status) const {
  if (valid == nullptr) return 0;
  for (const CacheValid& one : *valid) {
    if (one.status == 0 || one.status == status) return one.seconds;
  }
  return 0;
}

}  // namespace mp::upstream
