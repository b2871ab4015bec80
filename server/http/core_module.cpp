#include "http/core_module.hpp"

#include "base/numbers.hpp"
#include "conf/configuration.hpp"
#include "conf/process_conf.hpp"
#include "conf/setters.hpp"
#include "http/core_blocks.hpp"
#include "http/core_conf.hpp"
#include "http/core_variables.hpp"
#include "http/listen.hpp"
#include "http/plan.hpp"
#include "http/used_paths.hpp"

namespace mp::http {
namespace {

using conf::any_number;
using conf::at_least;
using conf::between;
using conf::Block;
using conf::Context;
using conf::Directive;
using conf::exactly;
using conf::flag;
using conf::kHttpServer;
using conf::kHttpServerLocation;
using conf::kHttpServerLocationIf;
using conf::kLocationOrIf;
using conf::Named;
using conf::Node;
using conf::none;
using conf::Scope;
using conf::set;
using conf::set_bits;
using conf::set_enum;

constexpr Named<Satisfy> kSatisfy[] = {{"all", Satisfy::all}, {"any", Satisfy::any}};
constexpr Named<IfModifiedSince> kIfModifiedSince[] = {
    {"off", IfModifiedSince::off}, {"exact", IfModifiedSince::exact}, {"before", IfModifiedSince::before}};
constexpr Named<LingeringClose> kLingeringClose[] = {
    {"off", LingeringClose::off}, {"on", LingeringClose::on}, {"always", LingeringClose::always}};
constexpr Named<ServerTokens> kServerTokens[] = {
    {"on", ServerTokens::on}, {"off", ServerTokens::off}, {"build", ServerTokens::build}};
constexpr Named<BodyInFile> kBodyInFile[] = {
    {"off", BodyInFile::off}, {"on", BodyInFile::on}, {"clean", BodyInFile::clean}};
constexpr Named<KeepaliveDisable> kKeepaliveDisable[] = {{"none", KeepaliveDisable::none},
                                                         {"msie6", KeepaliveDisable::msie6},
                                                         {"safari", KeepaliveDisable::safari}};

Status parse_internal(Context& ctx, const Node&) {
  ctx.conf<CoreLocation>().internal.set(true);
  return {};
}

Status parse_root(Context& ctx, const Node& node) {
  auto& core = ctx.conf<CoreLocation>();
  const bool alias = node.name == "alias";
  if (core.root.is_set()) {
    if (core.alias == alias) return fail("is duplicate");
    return ctx.error(std::string("\"") + std::string(node.name) + "\" directive is duplicate, \"" +
                     (alias ? "root" : "alias") + "\" directive was specified earlier");
  }
  const Location* location = ctx.conf<CoreBlock>().location;
  if (alias && location != nullptr && location->kind == Location::Kind::named) {
    return ctx.error("the \"alias\" directive cannot be used inside the named location");
  }
  std::string_view path = node.args[0].text;
  for (const std::string name : {"document_root", "realpath_root"}) {
    if (path.find("$" + name) == path.npos && path.find("${" + name + "}") == path.npos) continue;
    return ctx.error(node.args[0], "the $" + name + " variable cannot be used in the \"" +
                                       std::string(node.name) + "\" directive");
  }
  if (!path.starts_with('$')) path = ctx.full_path(path);
  if (!alias && path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  auto compiled = Template::compile(ctx, path);
  if (!compiled) return ctx.error(node.args[0], compiled.error().text);
  core.root.set(std::move(*compiled));
  core.alias = alias;
  return {};
}

Status parse_error_page(Context& ctx, const Node& node) {
  auto& core = ctx.conf<CoreLocation>();
  core.error_pages_set = true;
  std::size_t last_code = node.args.size() - 1;
  int overwrite = -1;
  const std::string_view before = node.args[last_code - 1].text;
  if (before.starts_with('=')) {
    --last_code;
    if (last_code == 0) return ctx.error(node.args[0], "invalid value \"" + std::string(before) + "\"");
    overwrite = 0;
    if (before.size() > 1) {
      const auto status = parse_natural<int>(before.substr(1));
      if (!status) return ctx.error(node.args[last_code], "invalid value \"" + std::string(before) + "\"");
      overwrite = *status;
    }
  }
  auto uri = Template::compile(ctx, node.args.back().text);
  if (!uri) return ctx.error(node.args.back(), uri.error().text);
  for (std::size_t i = 0; i < last_code; ++i) {
    const auto status = parse_natural<int>(node.args[i].text);
    if (!status) return ctx.error(node.args[i], "invalid value \"" + std::string(node.args[i].text) + "\"");
    if (*status == 499)
      return ctx.error(node.args[i], "invalid value \"" + std::string(node.args[i].text) + "\"");
    if (*status < 300 || *status > 599) {
      return ctx.error(node.args[i],
                       "value \"" + std::string(node.args[i].text) + "\" must be between 300 and 599");
    }
    int shown = overwrite;
    if (shown == -1 && *status >= 494 && *status <= 497) shown = 400;
    core.error_pages.push_back({*status, shown, *uri});
  }
  return {};
}

Status parse_keepalive_timeout(Context& ctx, const Node& node) {
  auto& core = ctx.conf<CoreLocation>();
  if (core.keepalive_timeout.is_set()) return fail("is duplicate");
  const auto timeout = parse_milliseconds(node.args[0].text);
  if (!timeout) return ctx.error(node.args[0], "\"keepalive_timeout\" directive invalid value");
  core.keepalive_timeout.set(conf::Msec(*timeout));
  if (node.args.size() == 1) return {};
  const auto header = parse_seconds(node.args[1].text);
  if (!header) return ctx.error(node.args[1], "\"keepalive_timeout\" directive invalid value");
  core.keepalive_header.set(conf::Sec(*header));
  return {};
}

Status parse_error_log(Context& ctx, const Node& node) {
  auto& core = ctx.conf<CoreLocation>();
  if (core.error_log == nullptr) core.error_log = std::make_shared<log::ErrorLog>();
  auto& process = ctx.configuration().root().get<conf::ProcessWide>();
  std::vector<std::string_view> args(node.args.begin(), node.args.end());
  const std::string where =
      std::string(ctx.file_name(node.position)) + ":" + std::to_string(node.position.line);
  const Status added = core.error_log->add(
      args, [&ctx](std::string_view path) { return std::string(ctx.full_path(path)); }, process.files, where);
  if (!added) return ctx.error(node.args.back(), added.error().text);
  return {};
}

template <Setting<Template> CoreLocation::* Member>
Status parse_rate(Context& ctx, const Node& node) {
  TRY(set<Member>(ctx, node));
  const Template& rate = (ctx.conf<CoreLocation>().*Member).get();
  if (rate.constant() && !parse_size(node.args[0].text)) return fail("invalid value");
  return {};
}

template <Setting<conf::Size> CoreServer::* Member>
Status parse_pool_size(Context& ctx, const Node& node) {
  constexpr std::size_t kLeast = 112;
  constexpr std::size_t kStep = 16;
  TRY(set<Member>(ctx, node));
  const std::size_t size = (ctx.conf<CoreServer>().*Member).get();
  if (size < kLeast) return ctx.error("the pool size must be no less than " + std::to_string(kLeast));
  if (size % kStep != 0) return ctx.error("the pool size must be a multiple of " + std::to_string(kStep));
  return {};
}

Status parse_temp_path(Context& ctx, const Node& node) {
  TRY(set<&CoreLocation::client_body_temp_path>(ctx, node));
  return use_temp_path(ctx, ctx.conf<CoreLocation>().client_body_temp_path.get(), &node);
}

// Accepted for the configurations that carry it: the cost it tuned does not exist here.
Status ignore(Context&, const Node& node) {
  if (!parse_natural<std::int64_t>(node.args[0].text)) return fail("invalid number");
  return {};
}

constexpr Directive kDirectives[] = {
    {.name = "http", .where = Scope::main, .args = none(), .block = Block::nested, .parse = parse_http},
    {.name = "server", .where = Scope::http, .args = none(), .block = Block::nested, .parse = parse_server},
    {.name = "location",
     .where = Scope::server | Scope::location,
     .args = between(1, 2),
     .block = Block::nested,
     .parse = parse_location},
    {.name = "limit_except",
     .where = Scope::location,
     .args = at_least(1),
     .block = Block::nested,
     .parse = parse_limit_except},
    {.name = "types",
     .where = kHttpServerLocation,
     .args = none(),
     .block = Block::raw,
     .parse = parse_types},
    {.name = "listen", .where = Scope::server, .args = at_least(1), .parse = parse_listen},
    {.name = "server_name", .where = Scope::server, .args = at_least(1), .parse = parse_server_name},
    {.name = "variables_hash_max_size",
     .where = Scope::http,
     .args = exactly(1),
     .parse = set<&CoreMain::variables_hash_max_size>},
    {.name = "variables_hash_bucket_size",
     .where = Scope::http,
     .args = exactly(1),
     .parse = set<&CoreMain::variables_hash_bucket_size>},
    {.name = "server_names_hash_max_size",
     .where = Scope::http,
     .args = exactly(1),
     .parse = set<&CoreMain::server_names_hash_max_size>},
    {.name = "server_names_hash_bucket_size",
     .where = Scope::http,
     .args = exactly(1),
     .parse = set<&CoreMain::server_names_hash_bucket_size>},
    {.name = "types_hash_max_size", .where = kHttpServerLocation, .args = exactly(1), .parse = ignore},
    {.name = "types_hash_bucket_size", .where = kHttpServerLocation, .args = exactly(1), .parse = ignore},
    {.name = "connection_pool_size",
     .where = kHttpServer,
     .args = exactly(1),
     .parse = parse_pool_size<&CoreServer::connection_pool_size>},
    {.name = "request_pool_size",
     .where = kHttpServer,
     .args = exactly(1),
     .parse = parse_pool_size<&CoreServer::request_pool_size>},
    {.name = "client_header_timeout",
     .where = kHttpServer,
     .args = exactly(1),
     .parse = set<&CoreServer::client_header_timeout>},
    {.name = "client_header_buffer_size",
     .where = kHttpServer,
     .args = exactly(1),
     .parse = set<&CoreServer::client_header_buffer_size>},
    {.name = "large_client_header_buffers",
     .where = kHttpServer,
     .args = exactly(2),
     .parse = set<&CoreServer::large_client_header_buffers>},
    {.name = "max_headers", .where = kHttpServer, .args = exactly(1), .parse = set<&CoreServer::max_headers>},
    {.name = "ignore_invalid_headers",
     .where = kHttpServer,
     .args = flag(),
     .parse = set<&CoreServer::ignore_invalid_headers>},
    {.name = "merge_slashes", .where = kHttpServer, .args = flag(), .parse = set<&CoreServer::merge_slashes>},
    {.name = "underscores_in_headers",
     .where = kHttpServer,
     .args = flag(),
     .parse = set<&CoreServer::underscores_in_headers>},
    {.name = "default_type",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = set<&CoreLocation::default_type>},
    {.name = "root", .where = kHttpServerLocationIf, .args = exactly(1), .parse = parse_root},
    {.name = "alias", .where = Scope::location, .args = exactly(1), .parse = parse_root},
    {.name = "internal", .where = Scope::location, .args = none(), .parse = parse_internal},
    {.name = "client_max_body_size",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = set<&CoreLocation::client_max_body_size>},
    {.name = "client_body_buffer_size",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = set<&CoreLocation::client_body_buffer_size>},
    {.name = "client_body_timeout",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = set<&CoreLocation::client_body_timeout>},
    {.name = "client_body_temp_path",
     .where = kHttpServerLocation,
     .args = between(1, 4),
     .parse = parse_temp_path},
    {.name = "client_body_in_file_only",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = set_enum<&CoreLocation::client_body_in_file_only, kBodyInFile>},
    {.name = "client_body_in_single_buffer",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = set<&CoreLocation::client_body_in_single_buffer>},
    {.name = "sendfile",
     .where = kHttpServerLocationIf,
     .args = flag(),
     .parse = set<&CoreLocation::sendfile>},
    {.name = "tcp_nopush",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = set<&CoreLocation::tcp_nopush>},
    {.name = "tcp_nodelay",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = set<&CoreLocation::tcp_nodelay>},
    {.name = "send_timeout",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = set<&CoreLocation::send_timeout>},
    {.name = "send_lowat",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = set<&CoreLocation::send_lowat>},
    {.name = "postpone_output",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = set<&CoreLocation::postpone_output>},
    {.name = "limit_rate",
     .where = kHttpServerLocationIf,
     .args = exactly(1),
     .parse = parse_rate<&CoreLocation::limit_rate>},
    {.name = "limit_rate_after",
     .where = kHttpServerLocationIf,
     .args = exactly(1),
     .parse = parse_rate<&CoreLocation::limit_rate_after>},
    {.name = "keepalive_time",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = set<&CoreLocation::keepalive_time>},
    {.name = "keepalive_timeout",
     .where = kHttpServerLocation,
     .args = between(1, 2),
     .parse = parse_keepalive_timeout},
    {.name = "keepalive_min_timeout",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = set<&CoreLocation::keepalive_min_timeout>},
    {.name = "keepalive_requests",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = set<&CoreLocation::keepalive_requests>},
    {.name = "keepalive_disable",
     .where = kHttpServerLocation,
     .args = at_least(1),
     .parse = set_bits<&CoreLocation::keepalive_disable, kKeepaliveDisable>},
    {.name = "satisfy",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = set_enum<&CoreLocation::satisfy, kSatisfy>},
    {.name = "auth_delay",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = set<&CoreLocation::auth_delay>},
    {.name = "lingering_close",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = set_enum<&CoreLocation::lingering_close, kLingeringClose>},
    {.name = "lingering_time",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = set<&CoreLocation::lingering_time>},
    {.name = "lingering_timeout",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = set<&CoreLocation::lingering_timeout>},
    {.name = "reset_timedout_connection",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = set<&CoreLocation::reset_timedout_connection>},
    {.name = "absolute_redirect",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = set<&CoreLocation::absolute_redirect>},
    {.name = "server_name_in_redirect",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = set<&CoreLocation::server_name_in_redirect>},
    {.name = "port_in_redirect",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = set<&CoreLocation::port_in_redirect>},
    {.name = "msie_padding",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = set<&CoreLocation::msie_padding>},
    {.name = "msie_refresh",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = set<&CoreLocation::msie_refresh>},
    {.name = "log_not_found",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = set<&CoreLocation::log_not_found>},
    {.name = "log_subrequest",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = set<&CoreLocation::log_subrequest>},
    {.name = "recursive_error_pages",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = set<&CoreLocation::recursive_error_pages>},
    {.name = "server_tokens",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = set_enum<&CoreLocation::server_tokens, kServerTokens>},
    {.name = "if_modified_since",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = set_enum<&CoreLocation::if_modified_since, kIfModifiedSince>},
    {.name = "max_ranges",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = set<&CoreLocation::max_ranges>},
    {.name = "chunked_transfer_encoding",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = set<&CoreLocation::chunked_transfer_encoding>},
    {.name = "etag", .where = kHttpServerLocation, .args = flag(), .parse = set<&CoreLocation::etag>},
    {.name = "error_page", .where = kHttpServerLocationIf, .args = at_least(2), .parse = parse_error_page},
    {.name = "error_log", .where = kHttpServerLocation, .args = at_least(1), .parse = parse_error_log},
};

constexpr conf::ConfType kConfs[] = {conf::conf_type<CoreMain>(),  conf::conf_type<CoreServer>(),
                                     conf::conf_type<CoreBlock>(), conf::conf_type<CoreLocation>(),
                                     conf::conf_type<Plan>(),      conf::conf_type<UsedPaths>()};

Status before_http(Context& ctx) {
  define_core_variables(ctx.conf<CoreMain>().variables);
  return {};
}

Status after_http(Context& ctx) {
  TRY(build_locations(ctx));
  TRY(finish_listening(ctx));
  if (const Status known = ctx.conf<CoreMain>().variables.finish(); !known) {
    return ctx.error(conf::Position(), known.error().text);
  }
  auto& process = ctx.configuration().root().get<conf::ProcessWide>();
  for (conf::ConfSet* set : ctx.configuration().sets(Level::location)) {
    auto& core = set->get<CoreLocation>();
    if (core.error_log == nullptr)
      core.error_log = std::shared_ptr<log::ErrorLog>(&process.error_log, [](auto*) {});
    const std::string folder(core.client_body_temp_path->path);
    const auto known = std::find(process.folders.begin(), process.folders.end(), folder);
    if (!folder.empty() && known == process.folders.end()) process.folders.push_back(folder);
  }
  return {};
}

}  // namespace

const conf::Module kCoreModule = {.name = "http_core",
                                  .directives = kDirectives,
                                  .confs = kConfs,
                                  .asked_always = true,
                                  .before_http = before_http,
                                  .after_http = after_http};

}  // namespace mp::http
