#include "upstream/pass_target.hpp"

#include <string>

#include "http/core_conf.hpp"
#include "http/request.hpp"
#include "net/address_url.hpp"
#include "upstream/upstream.hpp"

namespace mp::upstream {

bool PassTarget::find(http::Request& r, Destination& destination) const {
  destination.upstream = upstream;
  if (!address) return true;
  const std::string_view text = address->evaluate(r);
  const auto url = net::parse_address_url(text, {});
  if (!url) {
    log::error(r.logger, "{} in upstream \"{}\"", url.error().text, text);
    return false;
  }
  destination.host = url->host;
  destination.port = url->port;
  destination.no_port = !url->has_port();
  destination.address = url->address;
  return true;
}

Status parse_pass(conf::Context& ctx, const conf::Node& node, http::Handler handler, PassTarget& target) {
  if (target.is_set()) return conf::duplicate();
  auto& core = ctx.conf<http::CoreBlock>();
  core.handler = handler;
  const http::Location* location = core.location;
  if (!core.is_block && location != nullptr && location->name.ends_with('/')) {
    const_cast<http::Location*>(location)->auto_redirect = true;
  }
  const std::string_view text = node.args[0].text;
  if (http::has_variables(text)) {
    auto address = http::Template::compile(ctx, text);
    if (!address) return ctx.error(node.args[0], address.error().text);
    target.address = std::move(*address);
    return {};
  }
  const auto url = net::parse_address_url(text, {});
  if (!url) return ctx.error(node.args[0], url.error().text + " in upstream \"" + std::string(text) + "\"");
  auto found = ctx.conf<UpstreamMain>().find_or_add(ctx, node, *url);
  if (!found) return fail(found.error());
  target.upstream = *found;
  return {};
}

void merge_pass(conf::Context& ctx, PassTarget& target, const PassTarget& parent) {
  if (ctx.conf<http::CoreBlock>().is_block && !target.is_set()) target = parent;
}

}  // namespace mp::upstream
