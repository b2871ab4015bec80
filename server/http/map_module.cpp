// map: a variable whose value is looked up by that of others.
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "http/host_table.hpp"
#include "http/request.hpp"
#include "http/value_modules.hpp"

namespace mp::http {
namespace {

using conf::Context;
using conf::Node;

struct MapConf {
  static constexpr conf::Level kLevel = conf::Level::main;
  conf::Setting<std::int64_t> hash_max_size;
  conf::Setting<std::int64_t> hash_bucket_size;
};

// What a row gives. It lies in the slot of the row's name, a short text too: where there are many, what is
// elsewhere is cold.
class MapValue {
 public:
  MapValue() = default;
  MapValue(Context& ctx, Template value) {
    const std::string_view text = value.source();
    if (!value.constant()) {
      put(kTemplate, ctx.arena().make<Template>(std::move(value)), 0);
    } else if (text.size() <= kInPlace) {
      kind_ = static_cast<std::uint8_t>(text.size());
      text.copy(room_, text.size());
    } else {
      put(kElsewhere, text.data(), text.size());
    }
  }

  std::string_view evaluate(Request& r) const {
    if (kind_ <= kInPlace) return {room_, kind_};
    const void* address = nullptr;
    std::size_t size = 0;
    std::memcpy(&address, room_, sizeof(address));
    std::memcpy(&size, room_ + sizeof(address), sizeof(size));
    if (kind_ == kTemplate) return static_cast<const Template*>(address)->evaluate(r);
    return {static_cast<const char*>(address), size};
  }

 private:
  static constexpr std::size_t kInPlace = 23;
  static constexpr std::uint8_t kElsewhere = 0xfe, kTemplate = 0xff;

  void put(std::uint8_t kind, const void* address, std::size_t size) {
    kind_ = kind;
    std::memcpy(room_, &address, sizeof(address));
    std::memcpy(room_ + sizeof(address), &size, sizeof(size));
  }

  char room_[kInPlace];    // the text, or the address of a text and its size, or of a template
  std::uint8_t kind_ = 0;  // or the size of the text that is here
};
static_assert(sizeof(MapValue) == 24);

// One map block; in the configuration's arena.
struct Map {
  struct Pattern {
    HttpRegex regex;
    Template value;
  };
  Template source;
  bool hostnames = false;
  bool cacheable = true;
  std::optional<Template> fallback;
  HostTable<MapValue> names;
  std::vector<Pattern> patterns;

  std::string_view value_of(Request& r, std::string_view key) const {
    if (const MapValue* value = names.find(key)) return value->evaluate(r);
    for (const Pattern& pattern : patterns) {
      if (pattern.regex.match(r, key)) return pattern.value.evaluate(r);
    }
    return fallback ? fallback->evaluate(r) : std::string_view();
  }
};

Value map_value(Request& r, const Variable& v) {
  const Map& map = *static_cast<const Map*>(v.data);
  std::string_view key = map.source.evaluate(r);
  if (map.hostnames && key.ends_with('.')) key.remove_suffix(1);
  return Value::of(map.value_of(r, key));
}

Status add_pattern(Context& ctx, const Node& row, Map& map, Template value) {
  std::string_view pattern = row.name.substr(1);
  const bool caseless = pattern.starts_with('*');
  if (caseless) pattern.remove_prefix(1);
  auto regex = HttpRegex::compile(ctx, pattern, caseless);
  if (!regex) return ctx.error(row, regex.error().text);
  map.patterns.push_back({std::move(*regex), std::move(value)});
  return {};
}

Status read_row(Context& ctx, const Node& row, Map& map) {
  if (row.args.empty() && row.name == "hostnames") return map.hostnames = true, Status();
  if (row.args.empty() && row.name == "volatile") return map.cacheable = false, Status();
  if (row.args.size() != 1) return ctx.error(row, "invalid number of the map parameters");
  auto value = Template::compile(ctx, row.args[0].text);
  if (!value) return ctx.error(row.args[0], value.error().text);
  if (row.name == "default") {
    if (map.fallback) return ctx.error(row, "duplicate default map parameter");
    map.fallback = std::move(*value);
    return {};
  }
  if (row.name.starts_with('~')) return add_pattern(ctx, row, map, std::move(*value));
  std::string_view key = row.name;
  if (key.starts_with('\\')) key.remove_prefix(1);
  const MapValue compiled(ctx, std::move(*value));
  const HostEntry entry = map.hostnames ? map.names.add(key, compiled) : map.names.add_exact(key, compiled);
  switch (entry) {
    case HostEntry::added:
      return {};
    case HostEntry::invalid:
      return ctx.error(row, "invalid hostname or wildcard \"" + std::string(key) + "\"");
    case HostEntry::conflicting:
      return ctx.error(row, "conflicting parameter \"" + std::string(key) + "\"");
  }
  return {};
}

Status parse_map(Context& ctx, const Node& node) {
  Map* map = ctx.arena().make<Map>();
  auto source = Template::compile(ctx, node.args[0].text);
  if (!source) return ctx.error(node.args[0], source.error().text);
  map->source = std::move(*source);
  const std::string_view name = node.args[1].text;
  if (!name.starts_with('$') || name.size() < 2) {
    return ctx.error(node.args[1], "invalid variable name \"" + std::string(name) + "\"");
  }
  auto variable = ctx.conf<CoreMain>().variables.add(name.substr(1));
  if (!variable) return ctx.error(node.args[1], variable.error().text);
  for (const Node& row : node.children) TRY(read_row(ctx, row, *map));
  (*variable)->get = map_value;
  (*variable)->data = map;
  (*variable)->cacheable = map->cacheable;
  return {};
}

constexpr conf::Directive kDirectives[] = {
    {.name = "map",
     .where = conf::Scope::http,
     .args = conf::exactly(2),
     .block = conf::Block::raw,
     .parse = parse_map},
    {.name = "map_hash_max_size",
     .where = conf::Scope::http,
     .args = conf::exactly(1),
     .parse = conf::set<&MapConf::hash_max_size>},
    {.name = "map_hash_bucket_size",
     .where = conf::Scope::http,
     .args = conf::exactly(1),
     .parse = conf::set<&MapConf::hash_bucket_size>},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<MapConf>()};

}  // namespace

const conf::Module kMapModule = {.name = "http_map", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::http
