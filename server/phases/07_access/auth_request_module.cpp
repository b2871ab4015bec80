// auth_request: the status of a subrequest decides.
#include <string>
#include <vector>

#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"
#include "http/subrequest.hpp"
#include "phases/07_access/access_modules.hpp"

namespace mp::phases {

using conf::Context;
using conf::Node;
using http::Request;
using http::Step;

namespace {

struct AuthVariable {
  const http::Variable* variable;
  http::Template value;
};

struct AuthRequestConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  conf::Setting<std::string_view> uri;  // empty: off
  std::vector<AuthVariable> variables;

  Status merge(Context&, const AuthRequestConf& parent) {
    uri.inherit(parent.uri);
    if (variables.empty()) variables = parent.variables;
    return {};
  }
};

Status parse_auth_request(Context& ctx, const Node& node) {
  auto& uri = ctx.conf<AuthRequestConf>().uri;
  if (uri.is_set()) return conf::duplicate();
  const std::string_view text = node.args[0].text;
  uri.set(text == "off" ? std::string_view() : text);
  return {};
}

Status parse_set(Context& ctx, const Node& node) {
  const std::string_view name = node.args[0].text;
  if (!name.starts_with('$')) {
    return ctx.error(node.args[0], "invalid variable name \"" + std::string(name) + "\"");
  }
  auto variable = ctx.conf<http::CoreMain>().variables.add(name.substr(1));
  if (!variable) return ctx.error(node.args[0], variable.error().text);
  if ((*variable)->get == nullptr) {
    (*variable)->get = [](Request&, const http::Variable&) { return http::Value::none(); };
  }
  auto value = http::Template::compile(ctx, node.args[1].text);
  if (!value) return ctx.error(node.args[1], value.error().text);
  ctx.conf<AuthRequestConf>().variables.push_back({*variable, std::move(*value)});
  return {};
}

// Values are those in the subrequest; they are copied, because it ends now.
void set_variables(Request& r, Request& sub, const AuthRequestConf& c) {
  for (const AuthVariable& v : c.variables) {
    const std::string_view text = r.arena.copy(v.value.evaluate(sub));
    if (v.variable->set != nullptr) {
      v.variable->set(r, *v.variable, text);
    } else {
      r.set_value(*v.variable, http::Value::of(text));
    }
  }
}

void take_challenges(Request& r, const Request& sub) {
  for (const http::HeaderField& field : sub.out.headers) {
    if (field.id != http::HeaderId::www_authenticate) continue;
    r.out.headers.add(http::HeaderId::www_authenticate, r.arena.copy(field.value));
  }
}

constexpr conf::Directive kDirectives[] = {
    {.name = "auth_request",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = parse_auth_request},
    {.name = "auth_request_set",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(2),
     .parse = parse_set},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<AuthRequestConf>()};

}  // namespace

Step check_by_subrequest(Request& r) {
  const auto& c = r.conf<AuthRequestConf>();
  if (c.uri.get().empty()) return Step::decline();
  http::SubrequestOptions options;
  options.share_variables = true;
  int status = 0;
  const int failed = http::probe(r, c.uri, options, [&](Request& sub) {
    status = sub.out.status;
    set_variables(r, sub, c);
    if (status == 401) take_challenges(r, sub);
  });
  if (status == 0) status = failed;
  if (status == 401 || status == 403) return Step::finish(status);
  if (status >= 200 && status < 300) return Step::pass();
  log::error(r.logger, "auth request unexpected status: {}", status);
  return Step::finish(500);
}

const conf::Module kAuthRequestModule = {
    .name = "http_auth_request", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::phases
