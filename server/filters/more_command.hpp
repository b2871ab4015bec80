// MoreCommand: one directive of the headers-more family: fields to set or to take away, and for which
// responses or requests. Belongs to the configuration.
#pragma once

#include <string_view>
#include <vector>

#include "http/header_id.hpp"
#include "http/template.hpp"

namespace mp::filters {

struct MoreField {
  std::string_view name;  // without the '*' of a wildcard
  http::HeaderId id = http::HeaderId::unknown;
  bool wildcard = false;  // every field whose name begins so
  http::Template value;   // empty: the field goes

  bool matches(const http::HeaderField& field) const;
};

struct MoreCommand {
  std::vector<MoreField> fields;
  std::vector<std::string_view> types;  // -t; empty: all
  std::vector<int> statuses;            // -s; likewise
  bool append = false;                  // -a: beside fields of that name
  bool replace = false;                 // -r: only where there is such a field

  bool wants_type(std::string_view type) const;
  bool wants_status(int status) const;
};

// Reads the arguments; `options` are the letters allowed. `clear`: values are left out.
Result<MoreCommand> read_more_command(conf::Context& ctx, const conf::Node& node, std::string_view options,
                                      bool clear);

}  // namespace mp::filters
