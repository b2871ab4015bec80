// index: the file that stands for a folder.
#include <cerrno>

#include "base/strings.hpp"
#include "conf/configuration.hpp"
#include "http/core_conf.hpp"
#include "http/file_path.hpp"
#include "http/open_file.hpp"
#include "http/request.hpp"
#include "phases/10_content/static_module.hpp"

namespace mp::phases {

using conf::Context;
using conf::Node;
using http::Request;
using http::Step;

namespace {

struct IndexConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  std::vector<http::Template> names;

  Status merge(Context&, const IndexConf& parent) {
    if (names.empty()) names = parent.names;
    if (names.empty()) names.push_back(http::Template::literal("index.html"));
    return {};
  }
};

Status parse_index(Context& ctx, const Node& node) {
  auto& c = ctx.conf<IndexConf>();
  for (const conf::Arg& arg : node.args) {
    if (arg.text.starts_with('/') && &arg != &node.args.back()) {
      ctx.warn(arg, "only the last index in \"index\" directive should be absolute");
    }
    if (arg.text.empty()) {
      return ctx.error(arg,
                       "index \"" + std::string(node.args[0].text) + "\" in \"index\" directive is invalid");
    }
    auto name = http::Template::compile(ctx, arg.text);
    if (!name) return ctx.error(arg, name.error().text);
    c.names.push_back(std::move(*name));
  }
  return {};
}

constexpr conf::Directive kDirectives[] = {
    {.name = "index", .where = conf::kHttpServerLocation, .args = conf::at_least(1), .parse = parse_index},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<IndexConf>()};

// The folder itself decides what a missing index means.
Step missing_folder(Request& r, std::string_view folder_path, std::string_view file) {
  const http::FileRef folder = http::open_file(
      r, r.arena.concat(folder_path, std::string_view("\0", 1)).substr(0, folder_path.size()), true);
  if (folder->ok() && folder->is_dir) return Step::decline();
  const int error = folder->ok() ? ENOTDIR : folder->error;
  const bool denied = error == EACCES || error == ELOOP;
  if (denied || r.conf<http::CoreLocation>().log_not_found) {
    log::error(r.logger, log::Errno{error}, "\"{}\" is {}", file, denied ? "forbidden" : "not found");
  }
  return Step::finish(denied ? 403 : 404);
}

}  // namespace

Step serve_index(Request& r) {
  if (!r.uri.ends_with('/')) return Step::decline();
  if (r.method != http::Method::get && r.method != http::Method::head && r.method != http::Method::post) {
    return Step::decline();
  }
  bool folder_known = false;
  const std::string_view folder_path = http::map_to_path(r, r.uri);
  for (const http::Template& name : r.conf<IndexConf>().names) {
    const std::string_view file = name.evaluate(r);
    if (file.starts_with('/')) return r.internal_redirect(r.arena.copy(file), r.args);
    const std::string_view uri = r.arena.concat(r.uri, file);
    const std::string_view ended = r.arena.concat(folder_path, file, std::string_view("\0", 1));
    const std::string_view path = ended.substr(0, ended.size() - 1);
    const http::FileRef found = http::open_file(r, path, true);
    if (found->ok() && found->is_file) return r.internal_redirect(uri, r.args);
    if (found->error == EACCES || found->error == ELOOP) {
      log::error(r.logger, log::Errno{found->error}, "\"{}\" is forbidden", path);
      return Step::finish(403);
    }
    if (!folder_known) {
      const Step folder = missing_folder(r, folder_path, path);
      if (!folder.is_decline()) return folder;
      folder_known = true;
    }
  }
  return Step::decline();
}

const conf::Module kIndexModule = {.name = "http_index", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::phases
