#include "http/core_blocks.hpp"

#include <string>
#include <unordered_set>

#include "base/ascii.hpp"
#include "base/strings.hpp"
#include "conf/configuration.hpp"
#include "http/core_conf.hpp"
#include "http/listen.hpp"
#include "http/method.hpp"
#include "http/mime.hpp"

namespace mp::http {

using conf::Context;
using conf::Node;
using conf::Scope;

namespace {

// Two locations of a block may have one name only where just one of them is exact. Of named ones the first
// is found.
Status check_names(Context& ctx, const std::vector<Location*>& locations) {
  std::unordered_set<std::string_view> exact, others;
  for (const Location* l : locations) {
    if (l->kind == Location::Kind::regex) continue;
    auto& names = l->kind == Location::Kind::exact ? exact : others;
    if (names.insert(l->name).second) continue;
    if (l->kind == Location::Kind::named) {
      ctx.warn(*l->set->node, "duplicate location \"" + std::string(l->name) + "\", ignored");
      continue;
    }
    return ctx.error(*l->set->node, "duplicate location \"" + std::string(l->name) + "\"");
  }
  return {};
}

// Arranges the locations of one block and of the blocks inside.
Status build_trees(Context& ctx, LocationTree& tree, const std::vector<Location*>& locations) {
  TRY(check_names(ctx, locations));
  TRY(tree.build(locations));
  for (Location* l : locations) {
    if (l->nested.empty()) continue;
    l->children = std::make_unique<LocationTree>();
    TRY(build_trees(ctx, *l->children, l->nested));
  }
  return {};
}

}  // namespace

Status parse_http(Context& ctx, const Node& node) {
  if (ctx.has(Level::main) || ctx.configuration().root()[Level::main] != nullptr) return fail("is duplicate");
  const conf::Sets sets = ctx.nested_sets(node, {Level::main, Level::server, Level::location});
  const Context::Within http(ctx, Scope::http, sets);
  TRY(ctx.before_http());
  TRY(ctx.children(node));
  TRY(ctx.merge_http());
  return ctx.after_http();
}

Status parse_server(Context& ctx, const Node& node) {
  const conf::Sets sets = ctx.nested_sets(node, {Level::server, Level::location});
  auto* server = ctx.arena().make<Server>();
  server->sets = sets;
  auto& core = ctx.own<CoreServer>(sets);
  core.server = server;
  ctx.conf<CoreMain>().servers.push_back(server);
  TRY(ctx.children(node, Scope::server, sets));
  if (!core.listens) TRY(listen_by_default(ctx, *server));
  return {};
}

namespace {

// Kind and name out of "= /x", "=/x", "~* \.php$", "/x", "@name".
Status read_name(Context& ctx, const Node& node, Location& l) {
  std::string_view modifier;
  std::string_view name = node.args[0].text;
  if (node.args.size() == 2) {
    modifier = name;
    name = node.args[1].text;
    if (modifier != "=" && modifier != "^~" && modifier != "~" && modifier != "~*") {
      return ctx.error(node.args[0], "invalid location modifier \"" + std::string(modifier) + "\"");
    }
  } else {
    for (std::string_view m : {"=", "^~", "~*", "~"}) {
      if (!name.starts_with(m)) continue;
      modifier = m;
      name.remove_prefix(m.size());
      break;
    }
  }
  l.name = name;
  if (modifier == "=") {
    l.kind = Location::Kind::exact;
  } else if (modifier == "^~") {
    l.kind = Location::Kind::prefix_no_regex;
  } else if (!modifier.empty()) {
    l.kind = Location::Kind::regex;
    auto regex = HttpRegex::compile(ctx, name, modifier == "~*");
    if (!regex) return ctx.error(node.args.back(), regex.error().text);
    l.regex = std::make_unique<HttpRegex>(std::move(*regex));
  } else if (name.starts_with('@')) {
    l.kind = Location::Kind::named;
  }
  return {};
}

// What nginx allows inside which location.
Status check_nesting(Context& ctx, const Node& node, const Location& outer, const Location& l) {
  auto quoted = [](std::string_view s) { return "\"" + std::string(s) + "\""; };
  if (outer.kind == Location::Kind::exact) {
    return ctx.error(
        node, "location " + quoted(l.name) + " cannot be inside the exact location " + quoted(outer.name));
  }
  if (outer.kind == Location::Kind::named) {
    return ctx.error(
        node, "location " + quoted(l.name) + " cannot be inside the named location " + quoted(outer.name));
  }
  if (l.kind == Location::Kind::named) {
    return ctx.error(node, "named location " + quoted(l.name) + " can be on the server level only");
  }
  const bool outer_is_prefix = outer.kind != Location::Kind::regex;
  if (l.kind != Location::Kind::regex && outer_is_prefix && !l.name.starts_with(outer.name)) {
    return ctx.error(node, "location " + quoted(l.name) + " is outside location " + quoted(outer.name));
  }
  return {};
}

}  // namespace

Status parse_location(Context& ctx, const Node& node) {
  // Its set first: what was set in it follows the location in memory.
  const conf::Sets sets = ctx.nested_sets(node, {Level::location});
  auto* l = ctx.arena().make<Location>();
  l->set = sets[Level::location];
  TRY(read_name(ctx, node, *l));
  const auto& outer = ctx.conf<CoreBlock>();
  auto& siblings = outer.location != nullptr ? const_cast<Location*>(outer.location)->nested
                                             : ctx.conf<CoreServer>().server->all;
  if (outer.location != nullptr) {
    l->parent = const_cast<Location*>(outer.location);
    TRY(check_nesting(ctx, node, *outer.location, *l));
  }
  l->block.location = l;  // part of the location: one cache line has both
  l->set->slots()[conf::conf_index<CoreBlock>] = &l->block;
  siblings.push_back(l);
  return ctx.children(node, Scope::location, sets);
}

Result<conf::ConfSet*> parse_block_set(Context& ctx, const Node& node, Scope scope) {
  const conf::Sets sets = ctx.nested_sets(node, {Level::location});
  auto& core = ctx.own<CoreBlock>(sets);
  core.location = ctx.conf<CoreBlock>().location;
  core.is_block = true;
  TRY(ctx.children(node, scope, sets));
  return sets[Level::location];
}

namespace {

Method method_of_any_case(std::string_view name) {
  std::string capitals(name.size(), '\0');
  upper_into(capitals.data(), name);
  return parse_method(capitals);
}

}  // namespace

Status parse_limit_except(Context& ctx, const Node& node) {
  auto& core = ctx.conf<CoreBlock>();
  if (core.limit_except_set != nullptr) return fail("is duplicate");
  for (const conf::Arg& arg : node.args) {
    const Method method = method_of_any_case(arg.text);
    if (method == Method::other || method == Method::trace || method == Method::connect) {
      return ctx.error(arg, "invalid method \"" + std::string(arg.text) + "\"");
    }
    core.limit_except |= static_cast<std::uint32_t>(method);
    if (method == Method::get) core.limit_except |= static_cast<std::uint32_t>(Method::head);
  }
  auto set = parse_block_set(ctx, node, Scope::limit_except);
  if (!set) return fail(set.error());
  core.limit_except_set = *set;
  return {};
}

Status parse_types(Context& ctx, const Node& node) {
  auto& core = ctx.conf<CoreLocation>();
  if (core.types == nullptr) core.types = std::make_shared<MimeTypes>();
  for (const Node& row : node.children) {
    if (row.name == "include") {
      return ctx.error(row, "invalid number of arguments in \"include\" directive");
    }
    for (const conf::Arg& extension : row.args) {
      const std::string_view before = core.types->set(extension.text, row.name);
      if (before.empty()) continue;
      ctx.warn(extension, "duplicate extension \"" + std::string(extension.text) + "\", content type: \"" +
                              std::string(row.name) + "\", previous content type: \"" + std::string(before) +
                              "\"");
    }
  }
  return {};
}

Status build_locations(Context& ctx) {
  for (Server* server : ctx.conf<CoreMain>().servers) TRY(build_trees(ctx, server->locations, server->all));
  return {};
}

}  // namespace mp::http
