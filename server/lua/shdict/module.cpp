#include "lua/shdict/module.hpp"

#include <fmt/core.h>

#include "base/numbers.hpp"
#include "conf/configuration.hpp"
#include "conf/context.hpp"
#include "conf/node.hpp"
#include "conf/process_conf.hpp"

namespace mp::lua {
namespace {

using conf::Context;
using conf::Node;

constexpr std::int64_t kMinSize = 8192;
constexpr std::int64_t kMaxSize = ShmDict::kMaxZone;

Status declare_dict(Context& ctx, const Node& node) {
  const std::string_view name = node.arg(0);
  if (name.empty()) {
    return ctx.error(node.args[0], fmt::format("invalid lua shared dict name \"{}\"", name));
  }
  const auto size = parse_size(node.arg(1));
  if (!size || *size < kMinSize || *size > kMaxSize) {
    return ctx.error(node.args[1], fmt::format("invalid lua shared dict size \"{}\"", node.arg(1)));
  }
  const Status added =
      ctx.conf<ShdictConf>().dicts.add(ctx.conf<conf::ProcessWide>().zones, name, std::size_t(*size));
  if (!added) return ctx.error(added.error().text);
  return {};
}

// Losing the contents of a dictionary is told in the error log of the process.
Status log_resets(Context& ctx) {
  auto* wide = &ctx.conf<conf::ProcessWide>();
  auto* dicts = &ctx.conf<ShdictConf>().dicts;
  wide->preparations.push_back([wide, dicts](conf::Configuration&, bool) -> Status {
    dicts->set_logger(wide->logger());
    return {};
  });
  return {};
}

constexpr conf::Directive kDirectives[] = {
    {.name = "lua_shared_dict", .where = conf::Scope::http, .args = conf::exactly(2), .parse = declare_dict},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<ShdictConf>()};

}  // namespace

constexpr conf::Module kShdictModule = {
    .name = "lua_shdict",
    .directives = kDirectives,
    .confs = kConfs,
    .after_http = log_resets,
};

}  // namespace mp::lua
