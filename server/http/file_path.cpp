#include "http/file_path.hpp"

#include "conf/configuration.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"

namespace mp::http {
namespace {

// A root without `root` is "html" under the prefix, made when the configuration was merged.
std::string_view evaluated(Request& r, const CoreLocation& core) {
  return core.root->evaluate(r);
}

}  // namespace

std::string_view document_root(Request& r) {
  const auto& core = r.conf<CoreLocation>();
  return evaluated(r, core);
}

std::string_view map_to_path(Request& r, std::string_view uri) {
  const auto& core = r.conf<CoreLocation>();
  std::string_view base = evaluated(r, core);
  std::string_view rest = uri;
  if (core.alias) {
    const Location* l = r.conf<CoreBlock>().location;
    const bool regex = l == nullptr || l->kind == Location::Kind::regex;
    if (regex) {
      if (r.find_ctx<UriBelowAlias>() == nullptr) rest = {};
    } else {
      rest = uri.size() >= l->name.size() ? uri.substr(l->name.size()) : std::string_view();
    }
  } else if (base.ends_with('/') && base.size() > 1) {
    base.remove_suffix(1);
  }
  const std::string_view path = r.arena.concat(base, rest, std::string_view("\0", 1));
  return path.substr(0, path.size() - 1);
}

}  // namespace mp::http
