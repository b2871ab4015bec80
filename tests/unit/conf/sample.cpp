#include "sample.hpp"

#include <stdexcept>

namespace mp::conf::sample {

namespace {

constexpr Named<Satisfy> kSatisfy[] = {{"all", Satisfy::all}, {"any", Satisfy::any}};
constexpr Named<unsigned> kBits[] = {{"error", 1}, {"timeout", 2}, {"http_500", 4}};

Status http_block(Context& ctx, const Node& node) {
  if (ctx.has(Level::main) || ctx.configuration().root()[Level::main] != nullptr) return duplicate();
  const Sets sets = ctx.nested_sets(node, {Level::main, Level::server, Level::location});
  const Context::Within http(ctx, Scope::http, sets);
  TRY(ctx.before_http());
  TRY(ctx.children(node));
  TRY(ctx.merge_http());
  return ctx.after_http();
}

Status server_block(Context& ctx, const Node& node) {
  return ctx.children(node, Scope::server, ctx.nested_sets(node, {Level::server, Level::location}));
}

Status location_block(Context& ctx, const Node& node) {
  const Sets sets = ctx.nested_sets(node, {Level::location});
  ctx.own<LocationConf>(sets).where = node.arg(node.args.size() - 1);
  return ctx.children(node, Scope::location, sets);
}

Status if_block(Context& ctx, const Node& node) {
  const Scope scope = ctx.scope() == Scope::server ? Scope::server_if : Scope::location_if;
  const Sets sets = ctx.nested_sets(node, {Level::location});
  ctx.own<LocationConf>(sets).where = "if";
  return ctx.children(node, scope, sets);
}

Status upstream_block(Context& ctx, const Node& node) {
  return ctx.children(node, Scope::upstream, ctx.nested_sets(node, {Level::upstream}));
}

Status events_block(Context& ctx, const Node& node) {
  return ctx.children(node, Scope::events, ctx.nested_sets(node, {Level::events}));
}

Status raw_block(Context& ctx, const Node& node) {
  for (const Node& row : node.children) {
    std::string text(row.name);
    for (const Arg& arg : row.args) text += "|" + std::string(arg.text);
    ctx.conf<LocationConf>().rows.push_back(text);
    if (row.name == "bad") return ctx.error(row, "bad row");
    if (row.name == "worse") return ctx.error(row.args[0], "worse value");
  }
  return {};
}

Status lua_block(Context& ctx, const Node& node) {
  ctx.conf<LocationConf>().lua = node.lua_body;
  return {};
}

Status fail_how(Context& ctx, const Node& node) {
  if (node.arg(0) == "errno") return fail(system_error(2, "open() \"x\" failed"));
  if (node.arg(0) == "here") return ctx.error("it is wrong here");
  return fail("is always wrong");
}

Status skip_block(Context&, const Node&) {
  return {};
}

constexpr Scope kLocations = kHttpServerLocation | Scope::location_if;

constexpr Directive kDirectives[] = {
    {.name = "daemon", .where = Scope::main, .args = flag(), .parse = set<&ProcessConf::daemon>},
    {.name = "workers", .where = Scope::main, .args = exactly(1), .parse = set<&ProcessConf::workers>},
    {.name = "events", .where = Scope::main, .block = Block::nested, .parse = events_block},
    {.name = "http", .where = Scope::main, .block = Block::nested, .parse = http_block},
    {.name = "format", .where = Scope::http, .args = exactly(1), .parse = set<&MainConf::formats>},
    {.name = "server", .where = Scope::http, .block = Block::nested, .parse = server_block},
    {.name = "upstream",
     .where = Scope::http,
     .args = exactly(1),
     .block = Block::nested,
     .parse = upstream_block},
    {.name = "server", .where = Scope::upstream, .args = at_least(1), .parse = set<&UpstreamConf::server>},
    {.name = "location",
     .where = Scope::server | Scope::location,
     .args = between(1, 2),
     .block = Block::nested,
     .parse = location_block},
    {.name = "if",
     .where = Scope::server | Scope::location,
     .args = at_least(1),
     .block = Block::nested,
     .parse = if_block},
    {.name = "server_name", .where = kHttpServer, .args = exactly(1), .parse = set<&ServerConf::name>},
    {.name = "header_buffer",
     .where = kHttpServer,
     .args = exactly(1),
     .parse = set<&ServerConf::header_buffer>},
    {.name = "flag",
     .where = kLocations | Scope::server_if,
     .args = flag(),
     .parse = set<&LocationConf::flag>},
    {.name = "text", .where = kLocations, .args = exactly(1), .parse = set<&LocationConf::text>},
    {.name = "number", .where = kLocations, .args = exactly(1), .parse = set<&LocationConf::number>},
    {.name = "level",
     .where = kLocations,
     .args = exactly(1),
     .parse = set_between<&LocationConf::level, 1, 9>},
    {.name = "size", .where = kLocations, .args = exactly(1), .parse = set<&LocationConf::size>},
    {.name = "offset", .where = kLocations, .args = exactly(1), .parse = set<&LocationConf::offset>},
    {.name = "msec", .where = kLocations, .args = exactly(1), .parse = set_between<&LocationConf::msec, 100>},
    {.name = "sec", .where = kLocations, .args = exactly(1), .parse = set<&LocationConf::sec>},
    {.name = "bufs", .where = kLocations, .args = exactly(2), .parse = set<&LocationConf::bufs>},
    {.name = "access", .where = kLocations, .args = between(1, 3), .parse = set<&LocationConf::access>},
    {.name = "path", .where = kLocations, .args = exactly(1), .parse = set<&LocationConf::path>},
    {.name = "conf_path", .where = kLocations, .args = exactly(1), .parse = set<&LocationConf::conf_path>},
    {.name = "temp_path", .where = kLocations, .args = between(1, 4), .parse = set<&LocationConf::levels>},
    {.name = "list", .where = kLocations, .args = exactly(1), .parse = set<&LocationConf::list>},
    {.name = "pair", .where = kLocations, .args = exactly(2), .parse = set<&LocationConf::pairs>},
    {.name = "satisfy",
     .where = kLocations,
     .args = exactly(1),
     .parse = set_enum<&LocationConf::satisfy, kSatisfy>},
    {.name = "next", .where = kLocations, .args = at_least(1), .parse = set_bits<&LocationConf::bits, kBits>},
    {.name = "one_or_three", .where = kLocations, .args = exactly(1) | exactly(3), .parse = raw_block},
    {.name = "rows", .where = kLocations, .block = Block::raw, .parse = raw_block},
    {.name = "content_by_lua_block", .where = Scope::location, .block = Block::lua, .parse = lua_block},
    {.name = "set_by_lua_block",
     .where = kLocations,
     .args = exactly(1),
     .block = Block::lua,
     .parse = lua_block},
    {.name = "skipped", .where = Scope::any, .block = Block::nested, .parse = skip_block},
    {.name = "broken", .where = Scope::any, .args = exactly(1), .parse = fail_how},
};

constexpr ConfType kConfs[] = {conf_type<ProcessConf>(), conf_type<MainConf>(), conf_type<ServerConf>(),
                               conf_type<LocationConf>(), conf_type<UpstreamConf>()};

Status note(Context& ctx, const char* step) {
  ctx.conf<MainConf>().steps.emplace_back(step);
  return {};
}

constexpr Module kSample = {.name = "sample",
                            .directives = kDirectives,
                            .confs = kConfs,
                            .before_http = [](Context& ctx) { return note(ctx, "before"); },
                            .after_http = [](Context& ctx) { return note(ctx, "after"); }};

constexpr Directive kOtherDirectives[] = {
    {.name = "other", .where = kLocations, .args = exactly(1), .parse = set<&OtherConf::text>},
};
constexpr ConfType kOtherConfs[] = {conf_type<OtherConf>()};
constexpr Module kOther = {.name = "other", .directives = kOtherDirectives, .confs = kOtherConfs};

constexpr Directive kQuietDirectives[] = {
    {.name = "quiet", .where = kLocations, .args = exactly(1), .parse = set<&QuietConf::text>},
    {.name = "plain", .where = kLocations, .args = exactly(1), .parse = set<&PlainConf::text>},
};
constexpr ConfType kQuietConfs[] = {conf_type<QuietConf>(), conf_type<PlainConf>()};
constexpr Module kQuiet = {.name = "quiet", .directives = kQuietDirectives, .confs = kQuietConfs};

constexpr const Module* kModules[] = {&kSample, &kOther, &kQuiet};

}  // namespace

Status ProcessConf::finish(Context&) {
  finished = true;
  return {};
}

Status MainConf::finish(Context&) {
  steps.emplace_back("finish");
  return {};
}

Status ServerConf::merge(Context& ctx, const ServerConf& parent) {
  ctx.conf<MainConf>().steps.emplace_back("server");
  name.inherit(parent.name, "_");
  header_buffer.inherit(parent.header_buffer, 1024);
  return {};
}

Status LocationConf::merge(Context& ctx, const LocationConf& parent) {
  // The surrounding sets are at hand, and the server's is merged already.
  ctx.conf<MainConf>().steps.push_back(std::string(ctx.conf<ServerConf>().name.get()) + ":" +
                                       std::string(where));
  flag.inherit(parent.flag, false);
  text.inherit(parent.text, "default");
  number.inherit(parent.number, 7);
  size.inherit(parent.size, 4096);
  msec.inherit(parent.msec, 60000);
  list.inherit(parent.list);
  satisfy.inherit(parent.satisfy, Satisfy::all);
  bits.inherit(parent.bits, 1);
  if (text.get() == "merge-fails") return fail("does not merge");
  if (text.get() == "merge-fails-here") return ctx.error("text does not merge");
  return {};
}

Status LocationConf::finish(Context& ctx) {
  if (number.get() == 13) return ctx.error("number 13");
  return {};
}

Status OtherConf::merge(Context& ctx, const OtherConf& parent) {
  text.inherit(parent.text, ctx.conf<LocationConf>().text.get());
  return {};
}

Status QuietConf::merge(Context&, const QuietConf& parent) {
  text.inherit(parent.text, "default");
  ++merged;
  return {};
}

Status QuietConf::finish(Context&) {
  ++finished;
  return {};
}

std::span<const Module* const> modules() {
  return kModules;
}

const Module& quiet_module() {
  return kQuiet;
}

const Registry& registry() {
  static const Registry made(kModules);
  return made;
}

Loaded::Loaded(std::string text, std::string directives)
    : configuration(
          registry(),
          {.prefix = "/srv/sample/", .file = "/etc/sample/main.conf", .directives = std::move(directives)}),
      status(configuration.load_text(std::move(text))) {}

LocationConf& Loaded::location(std::string_view name) const {
  for (ConfSet* set : configuration.sets(Level::location)) {
    if (set->get<LocationConf>().where == name) return set->get<LocationConf>();
  }
  throw std::out_of_range("no such location");
}

}  // namespace mp::conf::sample
