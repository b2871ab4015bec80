#include "upstream/resolver_conf.hpp"

#include <string>

#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "conf/configuration.hpp"
#include "conf/process_conf.hpp"
#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "http/ssl_conf.hpp"
#include "net/address_url.hpp"

namespace mp::upstream {
namespace {

using conf::Directive;

// "ipv4=on": false when it is something else than the parameter, an error when the value is neither.
Result<bool> read_switch(conf::Context& ctx, const conf::Arg& arg, std::string_view name, bool& out) {
  std::string_view text = arg.text;
  if (!consume(text, name)) return false;
  if (text != "on" && text != "off") return ctx.error(arg, "invalid parameter: " + std::string(arg.text));
  out = text == "on";
  return true;
}

Status read_parameter(conf::Context& ctx, const conf::Arg& arg, net::ResolverOptions& options) {
  std::string_view text = arg.text;
  if (consume(text, "valid=")) {
    const auto seconds = parse_seconds(text);
    if (!seconds) return ctx.error(arg, "invalid parameter: " + std::string(arg.text));
    options.valid_seconds = *seconds;
    return {};
  }
  if (consume(text, "status_zone=")) return {};
  for (auto [name, member] :
       {std::pair{"ipv4=", &net::ResolverOptions::ipv4}, std::pair{"ipv6=", &net::ResolverOptions::ipv6}}) {
    const auto taken = read_switch(ctx, arg, name, options.*member);
    if (!taken) return fail(taken.error());
    if (*taken) return {};
  }
  const auto url = net::parse_address_url(arg.text, {.default_port = 53});
  if (!url) return ctx.error(arg, url.error().text + " in resolver \"" + std::string(arg.text) + "\"");
  const auto addresses = net::resolve(*url);
  if (!addresses)
    return ctx.error(arg, addresses.error().text + " in resolver \"" + std::string(arg.text) + "\"");
  options.servers.insert(options.servers.end(), addresses->begin(), addresses->end());
  return {};
}

Status parse_here(conf::Context& ctx, const conf::Node& node) {
  return parse_resolver(ctx, node, ctx.conf<ResolverConf>().resolver);
}

constexpr Directive kDirectives[] = {
    {.name = "resolver", .where = conf::kHttpServerLocation, .args = conf::at_least(1), .parse = parse_here},
    {.name = "resolver_timeout",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set<&ResolverConf::timeout>},
};

// TLS asks for the status of certificates with the resolver of the server.
Status hand_to_servers(conf::Context& ctx) {
  for (const http::Server* server : ctx.conf<http::CoreMain>().servers) {
    auto& ssl = server->sets.get<http::SslServer>();
    if (!ssl.context) continue;
    const auto& conf = server->sets.get<ResolverConf>();
    ssl.ocsp_resolver = {conf.resolver.get().get(), static_cast<fiber::Msec>(conf.timeout.get())};
    if (ssl.staples != nullptr) ssl.staples->resolver = ssl.ocsp_resolver;
  }
  return {};
}

constexpr conf::ConfType kConfs[] = {conf::conf_type<ResolverConf>()};

}  // namespace

Status ResolverConf::merge(conf::Context&, const ResolverConf& parent) {
  resolver.inherit(parent.resolver, nullptr);
  timeout.inherit(parent.timeout, 30000);
  return {};
}

Status parse_resolver(conf::Context& ctx, const conf::Node& node,
                      conf::Setting<std::shared_ptr<net::Resolver>>& setting) {
  if (setting.is_set()) return conf::duplicate();
  net::ResolverOptions options;
  options.logger = ctx.configuration().root().get<conf::ProcessWide>().logger();
  for (const conf::Arg& arg : node.args) TRY(read_parameter(ctx, arg, options));
  if (!options.ipv4 && !options.ipv6) return ctx.error(node, "\"ipv4\" and \"ipv6\" cannot both be \"off\"");
  if (options.servers.empty()) return ctx.error(node, "no name servers defined");
  setting.set(std::make_shared<net::Resolver>(std::move(options)));
  return {};
}

constexpr conf::Module kResolverModule = {
    .name = "resolver", .directives = kDirectives, .confs = kConfs, .after_http = hand_to_servers};

}  // namespace mp::upstream
