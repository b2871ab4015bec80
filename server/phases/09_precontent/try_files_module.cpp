// try_files: the first file or folder that exists, or else what the last argument says.
#include <cerrno>
#include <string>
#include <vector>

#include "base/numbers.hpp"
#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "http/file_path.hpp"
#include "http/open_file.hpp"
#include "http/request.hpp"
#include "phases/09_precontent/precontent_modules.hpp"

namespace mp::phases {

using conf::Context;
using conf::Node;
using http::Request;
using http::Step;

namespace {

struct Candidate {
  http::Template name;
  bool folder = false;
};

// Of one block only: nothing is inherited.
struct TryFilesConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  std::vector<Candidate> candidates;
  http::Template last;
  int code = -1;  // of "=code" as the last argument
};

Status parse_try_files(Context& ctx, const Node& node) {
  auto& c = ctx.conf<TryFilesConf>();
  if (!c.candidates.empty()) return conf::duplicate();
  for (const conf::Arg& arg : node.args) {
    const bool last = &arg == &node.args.back();
    Candidate candidate;
    std::string_view name = arg.text;
    candidate.folder = !last && name.ends_with('/');
    if (candidate.folder) name.remove_suffix(1);
    auto compiled = http::Template::compile(ctx, name);
    if (!compiled) return ctx.error(arg, compiled.error().text);
    candidate.name = std::move(*compiled);
    if (last) {
      c.last = std::move(candidate.name);
    } else {
      c.candidates.push_back(std::move(candidate));
    }
  }
  const std::string_view last = node.args.back().text;
  if (!last.starts_with('=')) return {};
  const auto code = parse_natural<int>(last.substr(1));
  if (!code || *code > 999) return ctx.error(node.args.back(), "invalid code \"" + std::string(last) + "\"");
  c.code = *code;
  return {};
}

enum class Root : std::uint8_t { plain, alias, regex_alias };

Root root_kind(const Request& r) {
  if (!r.conf<http::CoreLocation>().alias) return Root::plain;
  const http::Location* location = r.conf<http::CoreBlock>().location;
  const bool regex = location == nullptr || location->kind == http::Location::Kind::regex;
  return regex ? Root::regex_alias : Root::alias;
}

std::string_view location_name(const Request& r) {
  return r.conf<http::CoreBlock>().location->name;
}

// The name below the root. What a variable says begins with the location's name, which an alias replaces.
std::string_view name_below_root(Request& r, Root root, const http::Template& name) {
  std::string_view text = name.evaluate(r);
  if (root == Root::alias && !name.constant() && text.starts_with(location_name(r))) {
    text.remove_prefix(location_name(r).size());
  }
  return text;
}

bool exists(Request& r, std::string_view base, std::string_view name, bool folder) {
  const std::string_view whole = r.arena.concat(base, name, std::string_view("\0", 1));
  const std::string_view path = whole.substr(0, whole.size() - 1);
  const http::FileRef file = http::open_file(r, path, true);
  if (file->ok()) return file->is_dir == folder;
  if (file->error != ENOENT && file->error != ENOTDIR && file->error != ENAMETOOLONG) {
    log::crit(r.logger, log::Errno{file->error}, "{} \"{}\" failed", file->failed_call, path);
  }
  return false;
}

void take(Request& r, Root root, std::string_view name, bool folder) {
  switch (root) {
    case Root::plain:
      r.set_uri(name);
      break;
    case Root::alias:
      r.set_uri(r.arena.concat(location_name(r), name));
      break;
    case Root::regex_alias:
      if (folder) break;
      r.set_uri(name);
      r.ctx<http::UriBelowAlias>();
      break;
  }
}

constexpr conf::Directive kDirectives[] = {
    {.name = "try_files",
     .where = conf::Scope::server | conf::Scope::location,
     .args = conf::at_least(2),
     .parse = parse_try_files},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<TryFilesConf>()};

}  // namespace

Step try_files(Request& r) {
  const auto& c = r.conf<TryFilesConf>();
  if (c.candidates.empty()) return Step::decline();
  const Root root = root_kind(r);
  std::string_view base = http::document_root(r);
  if (root == Root::plain && base.size() > 1 && base.ends_with('/')) base.remove_suffix(1);

  for (const Candidate& candidate : c.candidates) {
    const std::string_view name = name_below_root(r, root, candidate.name);
    if (!exists(r, base, name, candidate.folder)) continue;
    take(r, root, name, candidate.folder);
    return Step::decline();
  }
  if (c.code >= 0) return Step::finish(c.code);
  const std::string_view target = name_below_root(r, root, c.last);
  if (target.starts_with('@')) return r.named_location(target);
  const std::size_t question = target.find('?');
  if (question == std::string_view::npos) return r.internal_redirect(target, {});
  return r.internal_redirect(target.substr(0, question), target.substr(question + 1));
}

const conf::Module kTryFilesModule = {.name = "http_try_files", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::phases
