// random_index: one of a folder's files, picked by chance.
#include <random>
#include <string_view>
#include <vector>

#include <sys/stat.h>

#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"
#include "phases/10_content/folder_modules.hpp"

namespace mp::phases {

using http::Request;
using http::Step;

namespace {

struct RandomIndexConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  conf::Setting<bool> enabled;
  Status merge(conf::Context&, const RandomIndexConf& parent) {
    enabled.inherit(parent.enabled, false);
    return {};
  }
};

constexpr conf::Directive kDirectives[] = {
    {.name = "random_index",
     .where = conf::Scope::location,
     .args = conf::flag(),
     .parse = conf::set<&RandomIndexConf::enabled>},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<RandomIndexConf>()};

}  // namespace

Step pick_random_file(Request& r) {
  if (!r.conf<RandomIndexConf>().enabled || !r.uri.ends_with('/')) return Step::decline();
  if (r.method != http::Method::get && r.method != http::Method::head && r.method != http::Method::post) {
    return Step::decline();
  }
  std::vector<std::string_view> names;
  const int status = read_folder(r, folder_path(r), [&](std::string_view name, const struct stat& facts) {
    if (S_ISREG(facts.st_mode)) names.push_back(r.arena.copy(name));
  });
  if (status != 0) return Step::finish(status);
  if (names.empty()) return Step::decline();
  thread_local std::minstd_rand random{std::random_device{}()};
  const std::string_view name =
      names[std::uniform_int_distribution<std::size_t>(0, names.size() - 1)(random)];
  return r.internal_redirect(r.arena.concat(r.uri, name), r.args);
}

const conf::Module kRandomIndexModule = {
    .name = "http_random_index", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::phases
