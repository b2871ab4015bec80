// PassTarget: where memcached_pass, memc_pass and redis2_pass send requests: an upstream, or what variables
// come to. Belongs to the configuration.
#pragma once

#include <optional>

#include "http/step.hpp"
#include "http/template.hpp"
#include "upstream/transfer.hpp"

namespace mp::upstream {

struct PassTarget {
  Upstream* upstream = nullptr;
  std::optional<http::Template> address;  // with variables

  bool is_set() const { return upstream != nullptr || address.has_value(); }
  // False: the variables name no address, which was logged.
  bool find(http::Request& request, Destination& destination) const;
};

// Reads the argument and makes `handler` the location's.
Status parse_pass(conf::Context& ctx, const conf::Node& node, http::Handler handler, PassTarget& target);

// Inherits into `if` blocks.
void merge_pass(conf::Context& ctx, PassTarget& target, const PassTarget& parent);

}  // namespace mp::upstream
