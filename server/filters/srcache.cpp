// The directives and variables of srcache.
#include "filters/srcache.hpp"

#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"

namespace mp::filters {

using conf::Context;
using conf::Node;
using http::HeaderId;
using http::Request;
using http::Value;
using http::Variable;

namespace {

constexpr std::string_view kHidden[] = {"Connection",          "Keep-Alive", "Proxy-Authenticate",
                                        "Proxy-Authorization", "TE",         "Trailers",
                                        "Transfer-Encoding",   "Upgrade",    "Set-Cookie"};

// METHOD URI [ARGS]
template <std::shared_ptr<const SrcacheRequest> SrcacheConf::* Which>
Status parse_request(Context& ctx, const Node& node) {
  auto& setting = ctx.conf<SrcacheConf>().*Which;
  if (setting != nullptr) return conf::duplicate();
  auto request = std::make_shared<SrcacheRequest>();
  request->method = http::parse_method(node.args[0].text);
  if (request->method == http::Method::other) {
    return ctx.error(node.args[0],
                     std::string(node.name) + " specifies bad HTTP method " + std::string(node.args[0].text));
  }
  auto uri = http::Template::compile(ctx, node.args[1].text);
  if (!uri) return ctx.error(node.args[1], uri.error().text);
  request->uri = std::move(*uri);
  if (node.args.size() > 2) {
    auto args = http::Template::compile(ctx, node.args[2].text);
    if (!args) return ctx.error(node.args[2], args.error().text);
    request->args = std::move(*args);
  }
  setting = std::move(request);
  return {};
}

Status parse_statuses(Context& ctx, const Node& node) {
  auto& statuses = ctx.conf<SrcacheConf>().store_statuses;
  if (!statuses.empty()) return conf::duplicate();
  for (const conf::Arg& arg : node.args) {
    const auto status = parse_natural<int>(arg.text, 999);
    if (!status || *status < 100)
      return ctx.error(arg, "invalid status code \"" + std::string(arg.text) + "\"");
    statuses.push_back(*status);
  }
  return {};
}

Status parse_methods(Context& ctx, const Node& node) {
  auto& methods = ctx.conf<SrcacheConf>().methods;
  if (methods != 0) return conf::duplicate();
  constexpr auto kUsual =
      static_cast<http::MethodSet>(http::Method::get) | static_cast<http::MethodSet>(http::Method::head);
  methods = kUsual;
  for (const conf::Arg& arg : node.args) {
    const http::Method method = http::parse_method(arg.text);
    if (method == http::Method::other)
      return ctx.error(arg, "invalid value \"" + std::string(arg.text) + "\"");
    methods |= static_cast<http::MethodSet>(method);
  }
  return {};
}

template <conf::StringList SrcacheConf::* List>
Status parse_header(Context& ctx, const Node& node) {
  (ctx.conf<SrcacheConf>().*List).push(ctx.arena(), node.args[0].text);
  return {};
}

// ---- variables

Value fetch_status(Request& r, const Variable&) {
  const auto* state = r.find_ctx<SrcacheState>();
  if (state == nullptr) return Value::of("BYPASS");
  return Value::of(state->fetched ? "HIT" : state->missed ? "MISS" : "BYPASS");
}

Value store_status(Request& r, const Variable&) {
  const auto* state = r.find_ctx<SrcacheState>();
  return Value::of(state != nullptr && state->stored ? "STORE" : "BYPASS");
}

Value expire(Request& r, const Variable&) {
  const auto* state = r.find_ctx<SrcacheState>();
  if (state == nullptr || !state->expire) return Value::none();
  char text[kMaxDecimal];
  return Value::of(r.arena.copy({text, static_cast<std::size_t>(print(text, *state->expire) - text)}));
}

constexpr Variable kVariables[] = {
    {.name = "srcache_fetch_status", .get = fetch_status, .cacheable = false},
    {.name = "srcache_store_status", .get = store_status, .cacheable = false},
    {.name = "srcache_expire", .get = expire, .cacheable = false},
};

Status before_http(Context& ctx) {
  ctx.conf<http::CoreMain>().variables.define(kVariables);
  return {};
}

constexpr conf::Directive row(std::string_view name, conf::Arity args,
                              Status (*parse)(Context&, const Node&)) {
  return {.name = name, .where = conf::kHttpServerLocationIf, .args = args, .parse = parse};
}

constexpr conf::Directive kDirectives[] = {
    row("srcache_fetch", conf::between(2, 3), parse_request<&SrcacheConf::fetch>),
    row("srcache_store", conf::between(2, 3), parse_request<&SrcacheConf::store>),
    row("srcache_fetch_skip", conf::exactly(1), conf::set<&SrcacheConf::fetch_skip>),
    row("srcache_store_skip", conf::exactly(1), conf::set<&SrcacheConf::store_skip>),
    row("srcache_store_max_size", conf::exactly(1), conf::set<&SrcacheConf::store_max_size>),
    row("srcache_store_statuses", conf::at_least(1), parse_statuses),
    row("srcache_store_ranges", conf::flag(), conf::set<&SrcacheConf::store_ranges>),
    row("srcache_store_private", conf::flag(), conf::set<&SrcacheConf::store_private>),
    row("srcache_store_no_store", conf::flag(), conf::set<&SrcacheConf::store_no_store>),
    row("srcache_store_no_cache", conf::flag(), conf::set<&SrcacheConf::store_no_cache>),
    row("srcache_store_hide_header", conf::exactly(1), parse_header<&SrcacheConf::hide_header_list>),
    row("srcache_store_pass_header", conf::exactly(1), parse_header<&SrcacheConf::pass_header_list>),
    row("srcache_methods", conf::at_least(1), parse_methods),
    row("srcache_ignore_content_encoding", conf::flag(), conf::set<&SrcacheConf::ignore_content_encoding>),
    row("srcache_request_cache_control", conf::flag(), conf::set<&SrcacheConf::request_cache_control>),
    row("srcache_response_cache_control", conf::flag(), conf::set<&SrcacheConf::response_cache_control>),
    row("srcache_default_expire", conf::exactly(1), conf::set<&SrcacheConf::default_expire>),
    row("srcache_max_expire", conf::exactly(1), conf::set<&SrcacheConf::max_expire>),
    row("srcache_header_buffer_size", conf::exactly(1), conf::set<&SrcacheConf::header_buffer_size>),
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<SrcacheConf>()};

}  // namespace

Status SrcacheConf::merge(Context&, const SrcacheConf& parent) {
  if (fetch == nullptr) fetch = parent.fetch;
  if (store == nullptr) store = parent.store;
  fetch_skip.inherit(parent.fetch_skip);
  store_skip.inherit(parent.store_skip);
  store_max_size.inherit(parent.store_max_size, 0);
  if (store_statuses.empty()) store_statuses = parent.store_statuses;
  store_ranges.inherit(parent.store_ranges, false);
  store_private.inherit(parent.store_private, false);
  store_no_store.inherit(parent.store_no_store, false);
  store_no_cache.inherit(parent.store_no_cache, false);
  ignore_content_encoding.inherit(parent.ignore_content_encoding, false);
  request_cache_control.inherit(parent.request_cache_control, false);
  response_cache_control.inherit(parent.response_cache_control, true);
  default_expire.inherit(parent.default_expire, 60);
  max_expire.inherit(parent.max_expire, 0);
  header_buffer_size.inherit(parent.header_buffer_size, 4096);
  if (methods == 0) methods = parent.methods;
  if (hide_header_list.empty()) hide_header_list = parent.hide_header_list;
  if (pass_header_list.empty()) pass_header_list = parent.pass_header_list;
  auto names = std::make_shared<upstream::NameSet>();
  for (const std::string_view name : kHidden) names->add(name);
  for (const std::string_view name : hide_header_list) names->add(name);
  for (const std::string_view name : pass_header_list) names->remove(name);
  hidden = std::move(names);
  return {};
}

bool srcache_wants_method(const Request& r, const SrcacheConf& conf) {
  if (conf.methods == 0) return r.method == http::Method::get || r.method == http::Method::head;
  return http::contains(conf.methods, r.method);
}

bool request_cache_control_has(const Request& r, std::string_view member) {
  for (const http::HeaderField& field : r.in) {
    if (field.id != HeaderId::cache_control && field.id != HeaderId::pragma) continue;
    if (list_contains(field.value, member)) return true;
  }
  return false;
}

bool srcache_skips(Request& r, const http::Template& condition) {
  if (condition.empty()) return false;
  const std::string_view value = condition.evaluate(r);
  return !value.empty() && value != "0";
}

const conf::Module kSrcacheModule = {
    .name = "http_srcache", .directives = kDirectives, .confs = kConfs, .before_http = before_http};

}  // namespace mp::filters
