// Which folders the directives X_temp_path and X_cache_path name, so that no two of them stand in each
// other's way: a cache has its folder for itself, temporary files may share one that has the same levels.
#pragma once

#include <vector>

#include "conf/context.hpp"
#include "conf/values.hpp"

namespace mp::http {

struct UsedPaths {
  static constexpr conf::Level kLevel = conf::Level::main;

  struct Entry {
    conf::LevelledPath path;
    const conf::Node* node;  // null for a default
    bool temporary;
  };
  std::vector<Entry> all;
};

// Refuses the path when another use of it forbids this one. `node`: the directive, null for a default.
Status use_temp_path(conf::Context& ctx, const conf::LevelledPath& path, const conf::Node* node);
Status use_cache_path(conf::Context& ctx, const conf::LevelledPath& path, const conf::Node& node);

}  // namespace mp::http
