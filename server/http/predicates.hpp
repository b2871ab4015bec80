// Predicates: the condition of directives like `proxy_cache_bypass $cookie_nocache $arg_nocache`: it holds
// when one of the values is neither empty nor "0".
#pragma once

#include <vector>

#include "conf/context.hpp"
#include "conf/setting.hpp"
#include "http/template.hpp"

namespace mp::http {

struct Predicates {
  std::vector<Template> tests;
  bool any(Request& request) const;
};

// One directive; further ones in the same block add to it.
Status parse_predicates(conf::Context& ctx, const conf::Node& node, conf::Setting<Predicates>& setting);

}  // namespace mp::http
