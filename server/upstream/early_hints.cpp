#include "upstream/early_hints.hpp"

#include "http/predicates.hpp"

namespace mp::upstream {
namespace {

struct EarlyHintsConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  conf::Setting<http::Predicates> wanted;
  Status merge(conf::Context&, const EarlyHintsConf& parent) {
    wanted.inherit(parent.wanted);
    return {};
  }
};

Status parse_early_hints(conf::Context& ctx, const conf::Node& node) {
  return http::parse_predicates(ctx, node, ctx.conf<EarlyHintsConf>().wanted);
}

constexpr conf::Directive kDirectives[] = {
    {.name = "early_hints",
     .where = conf::kHttpServerLocation,
     .args = conf::at_least(1),
     .parse = parse_early_hints},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<EarlyHintsConf>()};

}  // namespace

bool send_early_hints(http::Request& r, const http::Headers& fields, const NameSet& hidden) {
  if (r.is_sub() || r.exchange == nullptr || r.version < http::Version::http11) return true;
  if (!r.conf<EarlyHintsConf>().wanted->any(r)) return true;
  const http::Headers before = r.out.headers;
  for (const http::HeaderField& field : fields) {
    if (!hidden.has(field)) r.out.headers.add(field);
  }
  const bool sent = r.out.headers.empty() || r.exchange->send_informational(r, 103);
  r.out.headers = before;
  return sent;
}

constexpr conf::Module kEarlyHintsModule = {
    .name = "early_hints", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::upstream
