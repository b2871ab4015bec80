// split_clients: a variable that divides clients into parts of given sizes, always the same way.
#include <string>
#include <vector>

#include "base/digest.hpp"
#include "base/numbers.hpp"
#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"
#include "http/value_modules.hpp"

namespace mp::http {
namespace {

using conf::Context;
using conf::Node;

constexpr std::int64_t kWhole = 10000;  // parts are hundredths of a percent

struct Split {
  struct Part {
    std::uint32_t below;  // hashes below this one; 0: all that are left
    std::string_view value;
  };
  Template source;
  std::vector<Part> parts;
};

Value split_value(Request& r, const Variable& v) {
  const Split& split = *static_cast<const Split*>(v.data);
  const std::uint32_t hash = murmur2(split.source.evaluate(r));
  for (const Split::Part& part : split.parts) {
    if (part.below == 0 || hash < part.below) return Value::of(part.value);
  }
  return Value::of("");
}

Status read_parts(Context& ctx, const Node& node, Split& split) {
  std::int64_t sum = 0;
  std::uint32_t below = 0;
  for (const Node& row : node.children) {
    if (row.args.size() != 1)
      return ctx.error(row, "invalid number of arguments in \"split_clients\" directive");
    std::int64_t percent = 0;
    if (row.name != "*") {
      const auto number =
          row.name.ends_with('%') ? parse_fixed(row.name.substr(0, row.name.size() - 1), 2) : std::nullopt;
      if (!number || *number <= 0)
        return ctx.error(row, "invalid percent value \"" + std::string(row.name) + "\"");
      percent = *number;
    }
    sum = percent != 0 ? sum + percent : kWhole;
    if (sum > kWhole) return ctx.error(node, "percent total is greater than 100%");
    if (sum == kWhole) {
      split.parts.push_back({0, row.args[0].text});
      continue;
    }
    below += static_cast<std::uint32_t>(static_cast<std::uint64_t>(percent) * 0xffffffffu / kWhole);
    split.parts.push_back({below, row.args[0].text});
  }
  return {};
}

Status parse_split(Context& ctx, const Node& node) {
  Split* split = ctx.arena().make<Split>();
  auto source = Template::compile(ctx, node.args[0].text);
  if (!source) return ctx.error(node.args[0], source.error().text);
  split->source = std::move(*source);
  const std::string_view name = node.args[1].text;
  if (!name.starts_with('$') || name.size() < 2) {
    return ctx.error(node.args[1], "invalid variable name \"" + std::string(name) + "\"");
  }
  auto variable = ctx.conf<CoreMain>().variables.add(name.substr(1));
  if (!variable) return ctx.error(node.args[1], variable.error().text);
  TRY(read_parts(ctx, node, *split));
  (*variable)->get = split_value;
  (*variable)->data = split;
  return {};
}

constexpr conf::Directive kDirectives[] = {
    {.name = "split_clients",
     .where = conf::Scope::http,
     .args = conf::exactly(2),
     .block = conf::Block::raw,
     .parse = parse_split},
};

}  // namespace

const conf::Module kSplitClientsModule = {.name = "http_split_clients", .directives = kDirectives};

}  // namespace mp::http
