// The fastcgi module: its directives, variables and content handler.
#include <string>

#include "base/regex.hpp"
#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "upstream/cgi.hpp"
#include "upstream/cgi_modules.hpp"
#include "upstream/fastcgi_dialect.hpp"
#include "upstream/transfer_rows.hpp"

namespace mp::upstream {
namespace {

using conf::Context;
using conf::Node;
using http::Request;
using http::Step;

struct FastcgiConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  TransferConf transfer;
  CgiTarget target;
  CgiParamSets params;
  conf::Setting<std::string_view> index;
  conf::Setting<bool> keep_conn;
  conf::StringList catch_stderr;
  bool catch_set = false;
  std::shared_ptr<Regex> split;

  Status merge(Context& ctx, const FastcgiConf& parent) {
    TRY(transfer.merge(ctx, parent.transfer, "fastcgi", kCgiHidden, "fastcgi_temp"));
    index.inherit(parent.index);
    keep_conn.inherit(parent.keep_conn, false);
    if (!catch_set) catch_stderr = parent.catch_stderr;
    if (split == nullptr) split = parent.split;
    const auto& core = ctx.conf<http::CoreBlock>();
    if (core.is_block && !target.is_set()) target = parent.target;
    return params.merge(ctx, parent.params, transfer.cache, "fastcgi");
  }
};

Step serve_fastcgi(Request& r) {
  const auto& conf = r.conf<FastcgiConf>();
  Destination destination;
  if (!find_cgi_server(r, conf.target, destination)) return Step::finish(500);
  FastcgiDialect dialect(r, conf.transfer, conf.params, conf.keep_conn, conf.catch_stderr);
  Transfer transfer(r, conf.transfer, dialect, destination, &conf);
  return transfer.run();
}

// ---- variables

struct ScriptParts {
  bool known = false;
  std::string_view name;
  std::string_view path_info;
};

// The URI cut in two by fastcgi_split_path_info.
const ScriptParts& script_parts(Request& r) {
  auto& parts = r.ctx<ScriptParts>();
  if (parts.known) return parts;
  parts.known = true;
  parts.name = r.uri;
  const auto& conf = r.conf<FastcgiConf>();
  if (conf.split == nullptr) return parts;
  int offsets[6];
  if (conf.split->exec(r.uri, offsets)) {
    const auto group = [&](int n) {
      if (offsets[2 * n] < 0) return std::string_view();
      return r.uri.substr(static_cast<std::size_t>(offsets[2 * n]),
                          static_cast<std::size_t>(offsets[2 * n + 1] - offsets[2 * n]));
    };
    parts.name = group(1);
    parts.path_info = group(2);
  }
  return parts;
}

http::Value script_name(Request& r, const http::Variable&) {
  const ScriptParts& parts = script_parts(r);
  if (!parts.name.ends_with('/')) return http::Value::of(parts.name);
  return http::Value::of(r.arena.concat(parts.name, r.conf<FastcgiConf>().index.get()));
}
http::Value path_info(Request& r, const http::Variable&) {
  return http::Value::of(script_parts(r).path_info);
}

constexpr http::Variable kVariables[] = {
    {.name = "fastcgi_script_name", .get = script_name, .cacheable = false},
    {.name = "fastcgi_path_info", .get = path_info, .cacheable = false},
};

// ---- directives

Status parse_pass(Context& ctx, const Node& node) {
  return parse_cgi_pass(ctx, node, node.args[0].text, serve_fastcgi, ctx.conf<FastcgiConf>().target);
}
Status parse_param(Context& ctx, const Node& node) {
  return parse_cgi_param(ctx, node, ctx.conf<FastcgiConf>().params.list);
}
Status parse_catch(Context& ctx, const Node& node) {
  auto& conf = ctx.conf<FastcgiConf>();
  conf.catch_set = true;
  conf.catch_stderr.push(ctx.arena(), node.args[0].text);
  return {};
}
Status parse_split(Context& ctx, const Node& node) {
  auto& conf = ctx.conf<FastcgiConf>();
  if (conf.split != nullptr) return conf::duplicate();
  auto regex = Regex::compile(node.args[0].text);
  if (!regex) return ctx.error(node.args[0], regex.error().text);
  if (regex->captures() != 2) {
    return ctx.error(node.args[0], "pattern \"" + std::string(node.args[0].text) + "\" must have 2 captures");
  }
  conf.split = std::make_shared<Regex>(std::move(*regex));
  return {};
}

constexpr std::array kOwnRows = {
    conf::Directive{
        .name = "fastcgi_pass", .where = conf::kLocationOrIf, .args = conf::exactly(1), .parse = parse_pass},
    conf::Directive{.name = "fastcgi_index",
                    .where = conf::kHttpServerLocation,
                    .args = conf::exactly(1),
                    .parse = conf::set<&FastcgiConf::index>},
    conf::Directive{.name = "fastcgi_split_path_info",
                    .where = conf::kHttpServerLocation,
                    .args = conf::exactly(1),
                    .parse = parse_split},
    conf::Directive{.name = "fastcgi_param",
                    .where = conf::kHttpServerLocationIf,
                    .args = conf::between(2, 3),
                    .parse = parse_param},
    conf::Directive{.name = "fastcgi_keep_conn",
                    .where = conf::kHttpServerLocation,
                    .args = conf::flag(),
                    .parse = conf::set<&FastcgiConf::keep_conn>},
    conf::Directive{.name = "fastcgi_catch_stderr",
                    .where = conf::kHttpServerLocation,
                    .args = conf::exactly(1),
                    .parse = parse_catch},
    conf::Directive{.name = "fastcgi_send_lowat",
                    .where = conf::kHttpServerLocation,
                    .args = conf::exactly(1),
                    .parse = set_transfer<&FastcgiConf::transfer, &TransferConf::send_lowat>},
};
constexpr auto kDirectives =
    join_rows(kOwnRows, kConnectionRows<"fastcgi", &FastcgiConf::transfer>,
              kBodyRows<"fastcgi", &FastcgiConf::transfer>, kCacheRows<"fastcgi", &FastcgiConf::transfer>);
constexpr conf::ConfType kConfs[] = {conf::conf_type<FastcgiConf>()};

Status before_http(Context& ctx) {
  ctx.conf<http::CoreMain>().variables.define(kVariables);
  return {};
}

}  // namespace

const conf::Module kFastcgiModule = {
    .name = "http_fastcgi", .directives = kDirectives, .confs = kConfs, .before_http = before_http};

}  // namespace mp::upstream
