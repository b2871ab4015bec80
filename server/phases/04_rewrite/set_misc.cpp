#include "phases/04_rewrite/set_misc.hpp"

#include <algorithm>
#include <array>

#include "base/ascii.hpp"
#include "base/numbers.hpp"
#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"
#include "http/set_functions.hpp"
#include "phases/04_rewrite/set_target.hpp"

namespace mp::phases {

using conf::Context;
using conf::Node;
using http::Request;
using http::Step;

namespace {

// ---- functions of their arguments alone

constexpr std::size_t kMostArgs = 2;

struct SetByFunction final : http::Instruction {
  const http::Variable* variable = nullptr;
  const http::SetFunction* function = nullptr;
  std::vector<http::Template> args;

  Step run(Request& r) const override {
    std::array<std::string_view, kMostArgs> values;
    for (std::size_t i = 0; i < args.size(); ++i) values[i] = args[i].evaluate(r);
    std::string_view result;
    if (!function->run(r, std::span(values).first(args.size()), result)) return Step::finish(500);
    assign(r, *variable, result);
    return Step::decline();
  }
};

Status add_value(Context& ctx, const conf::Arg& arg, std::vector<http::Template>& values) {
  auto value = http::Template::compile(ctx, arg.text);
  if (!value) return ctx.error(arg, value.error().text);
  values.push_back(std::move(*value));
  return {};
}

// set_NAME $target [VALUE...]; the target's own value stands in for one that is missing in front.
Status parse_function(Context& ctx, const Node& node) {
  const auto variable = set_target(ctx, node.args[0]);
  if (!variable) return fail(variable.error());
  auto* made = ctx.arena().make<SetByFunction>();
  made->variable = *variable;
  made->function = http::find_set_function(node.name);
  if (node.args.size() - 1 < made->function->args) TRY(add_value(ctx, node.args[0], made->args));
  for (const conf::Arg& arg : node.args.subspan(1)) TRY(add_value(ctx, arg, made->args));
  ctx.conf<http::CoreBlock>().script.add(*made);
  return {};
}

// ---- set_rotate

struct Rotate final : http::Instruction {
  const http::Variable* variable = nullptr;
  http::Template value;
  http::Template from;
  http::Template to;
  mutable std::int64_t last = -1;  // of this location and worker

  Step run(Request& r) const override {
    const auto low = limit(r, from, "from");
    const auto high = limit(r, to, "to");
    if (!low || !high) return Step::finish(500);
    const auto [least, most] = std::minmax(*low, *high);
    std::int64_t next = parse_natural<std::int64_t>(value.evaluate(r), INT64_MAX - 1).value_or(last) + 1;
    if (next < least || next > most) next = least;
    last = next;
    char text[kMaxDecimal];
    assign(r, *variable, r.arena.copy({text, static_cast<std::size_t>(print(text, next) - text)}));
    return Step::decline();
  }

 private:
  static std::optional<std::int64_t> limit(Request& r, const http::Template& source, std::string_view name) {
    const std::string_view text = source.evaluate(r);
    const auto value = parse_natural<std::int64_t>(text);
    if (!value) log::error(r.logger, "set_rotate: bad \"{}\" argument value: \"{}\"", name, text);
    return value;
  }
};

Status parse_rotate(Context& ctx, const Node& node) {
  const auto variable = set_target(ctx, node.args[0]);
  if (!variable) return fail(variable.error());
  std::vector<http::Template> values;
  for (const conf::Arg& arg : node.args) TRY(add_value(ctx, arg, values));
  auto* made = ctx.arena().make<Rotate>();
  made->variable = *variable;
  made->value = std::move(values[0]);
  made->from = std::move(values[1]);
  made->to = std::move(values[2]);
  ctx.conf<http::CoreBlock>().script.add(*made);
  return {};
}

// ---- upstream_list, set_hashed_upstream

struct UpstreamLists {
  static constexpr conf::Level kLevel = conf::Level::main;
  struct List {
    std::string_view name;
    std::vector<std::string_view> members;
  };
  std::vector<List> lists;

  const List* find(std::string_view name) const {
    const auto found =
        std::find_if(lists.begin(), lists.end(), [&](const List& l) { return l.name == name; });
    return found != lists.end() ? &*found : nullptr;
  }
};

Status parse_upstream_list(Context& ctx, const Node& node) {
  auto& lists = ctx.conf<UpstreamLists>();
  if (lists.find(node.args[0].text) != nullptr) {
    return ctx.error(node.args[0], "duplicate upstream list name \"" + std::string(node.args[0].text) + "\"");
  }
  UpstreamLists::List list{node.args[0].text, {}};
  for (const conf::Arg& arg : node.args.subspan(1)) list.members.push_back(arg.text);
  lists.lists.push_back(std::move(list));
  return {};
}

struct HashedUpstream final : http::Instruction {
  const http::Variable* variable = nullptr;
  http::Template list;
  http::Template key;

  Step run(Request& r) const override {
    const std::string_view name = list.evaluate(r);
    const auto* found = r.conf<UpstreamLists>().find(name);
    if (found == nullptr) {
      log::error(r.logger, "set_hashed_upstream: upstream list \"{}\" not defined", name);
      return Step::finish(500);
    }
    std::uint32_t hash = 0;
    for (const char c : key.evaluate(r)) hash = hash * 31 + static_cast<unsigned char>(to_lower(c));
    assign(r, *variable, found->members[hash % found->members.size()]);
    return Step::decline();
  }
};

Status parse_hashed_upstream(Context& ctx, const Node& node) {
  const auto variable = set_target(ctx, node.args[0]);
  if (!variable) return fail(variable.error());
  std::vector<http::Template> values;
  for (const conf::Arg& arg : node.args.subspan(1)) TRY(add_value(ctx, arg, values));
  auto* made = ctx.arena().make<HashedUpstream>();
  made->variable = *variable;
  made->list = std::move(values[0]);
  made->key = std::move(values[1]);
  ctx.conf<http::CoreBlock>().script.add(*made);
  return {};
}

// ---- base 32

Status parse_alphabet(Context& ctx, const Node& node) {
  const std::string_view text = node.args[0].text;
  if (text.size() != 32) {
    return ctx.error(node.args[0], "\"set_base32_alphabet\" directive takes an alphabet of " +
                                       std::to_string(text.size()) + " bytes but 32 expected");
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.find(text[i], i + 1) != std::string_view::npos || text[i] == '=') {
      return ctx.error(node.args[0],
                       "\"set_base32_alphabet\" directive takes 32 different characters other than \"=\"");
    }
  }
  auto& setting = ctx.conf<http::Base32Conf>().alphabet;
  if (setting.is_set()) return conf::duplicate();
  setting.set(text);
  return {};
}

constexpr conf::Scope kScripts =
    conf::Scope::server | conf::Scope::server_if | conf::Scope::location | conf::Scope::location_if;

constexpr conf::Directive row(std::string_view name, conf::Arity args) {
  return {.name = name, .where = kScripts, .args = args, .parse = parse_function};
}

constexpr conf::Directive kDirectives[] = {
    row("set_if_empty", conf::exactly(2)),
    row("set_quote_sql_str", conf::between(1, 2)),
    row("set_quote_pgsql_str", conf::between(1, 2)),
    row("set_quote_json_str", conf::between(1, 2)),
    row("set_escape_uri", conf::between(1, 2)),
    row("set_unescape_uri", conf::between(1, 2)),
    row("set_encode_base32", conf::between(1, 2)),
    row("set_decode_base32", conf::between(1, 2)),
    row("set_encode_base64", conf::between(1, 2)),
    row("set_decode_base64", conf::between(1, 2)),
    row("set_encode_base64url", conf::between(1, 2)),
    row("set_decode_base64url", conf::between(1, 2)),
    row("set_encode_hex", conf::between(1, 2)),
    row("set_decode_hex", conf::between(1, 2)),
    row("set_md5", conf::between(1, 2)),
    row("set_sha1", conf::between(1, 2)),
    row("set_hmac_sha1", conf::exactly(3)),
    row("set_hmac_sha256", conf::exactly(3)),
    row("set_random", conf::exactly(3)),
    row("set_secure_random_alphanum", conf::exactly(2)),
    row("set_secure_random_lcalpha", conf::exactly(2)),
    row("set_local_today", conf::exactly(1)),
    row("set_formatted_gmt_time", conf::exactly(2)),
    row("set_formatted_local_time", conf::exactly(2)),
    {.name = "set_rotate", .where = kScripts, .args = conf::exactly(3), .parse = parse_rotate},
    {.name = "set_hashed_upstream",
     .where = kScripts,
     .args = conf::exactly(3),
     .parse = parse_hashed_upstream},
    {.name = "upstream_list",
     .where = conf::Scope::http,
     .args = conf::at_least(2),
     .parse = parse_upstream_list},
    {.name = "set_base32_alphabet",
     .where = kScripts | conf::Scope::http,
     .args = conf::exactly(1),
     .parse = parse_alphabet},
    {.name = "set_base32_padding",
     .where = kScripts | conf::Scope::http,
     .args = conf::flag(),
     .parse = conf::set<&http::Base32Conf::padding>},
    {.name = "set_misc_base32_padding",
     .where = kScripts | conf::Scope::http,
     .args = conf::flag(),
     .parse = conf::set<&http::Base32Conf::padding>},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<http::Base32Conf>(), conf::conf_type<UpstreamLists>()};

}  // namespace

const conf::Module kSetMiscModule = {.name = "http_set_misc", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::phases
