#include "http/used_paths.hpp"

#include <algorithm>
#include <string>

namespace mp::http {
namespace {

using conf::Context;
using conf::LevelledPath;
using conf::Node;

// `the same path name "x" in FILE:LINE`; the place of the directive at hand follows behind it.
tl::unexpected<Error> refuse(Context& ctx, const UsedPaths::Entry& known, std::string_view before,
                             std::string_view after) {
  std::string text = "the same path name \"" + std::string(known.path.path) + "\"";
  text += before;
  if (known.node != nullptr) {
    text += " in " + std::string(ctx.file_name(known.node->end)) + ":" + std::to_string(known.node->end.line);
  }
  return ctx.error(text.append(after));
}

Status use(Context& ctx, const UsedPaths::Entry& entry) {
  auto& all = ctx.conf<UsedPaths>().all;
  const auto known = std::find_if(all.begin(), all.end(), [&entry](const UsedPaths::Entry& other) {
    return other.path.path == entry.path.path;
  });
  if (known == all.end()) {
    all.push_back(entry);
    return {};
  }
  if (!known->temporary || !entry.temporary) return refuse(ctx, *known, " used", " and");
  const bool both_given = known->node != nullptr && entry.node != nullptr;
  if (both_given && !std::ranges::equal(known->path.levels, entry.path.levels)) {
    return refuse(ctx, *known, "", " has the different levels than");
  }
  return {};
}

}  // namespace

Status use_temp_path(Context& ctx, const LevelledPath& path, const Node* node) {
  return use(ctx, {path, node, true});
}

Status use_cache_path(Context& ctx, const LevelledPath& path, const Node& node) {
  return use(ctx, {path, &node, false});
}

}  // namespace mp::http
