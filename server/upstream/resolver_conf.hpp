// resolver and resolver_timeout: which name servers are asked while running.
#pragma once

#include <memory>

#include "conf/context.hpp"
#include "conf/setting.hpp"
#include "conf/values.hpp"
#include "net/resolver.hpp"

namespace mp::upstream {

struct ResolverConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  conf::Setting<std::shared_ptr<net::Resolver>> resolver;  // null: none
  conf::Setting<conf::Msec> timeout;                       // 30s
  Status merge(conf::Context& ctx, const ResolverConf& parent);
};

// Reads the arguments of a `resolver` directive.
Status parse_resolver(conf::Context& ctx, const conf::Node& node,
                      conf::Setting<std::shared_ptr<net::Resolver>>& setting);

extern const conf::Module kResolverModule;

}  // namespace mp::upstream
