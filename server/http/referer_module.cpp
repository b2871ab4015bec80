// valid_referers: $invalid_referer tells requests that came from elsewhere.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/ascii.hpp"
#include "base/regex.hpp"
#include "base/strings.hpp"
#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "http/host_table.hpp"
#include "http/request.hpp"
#include "http/value_modules.hpp"

namespace mp::http {
namespace {

using conf::Context;
using conf::Node;

constexpr std::size_t kMaxHost = 256;

// What one block's valid_referers directives add up to; shared by the blocks that inherit it.
struct ValidReferers {
  bool none = false;     // requests without the field are welcome
  bool blocked = false;  // and those whose field is no http or https URL
  bool server_names = false;
  HostTable<std::string_view> hosts;  // value: how the path must begin
  std::vector<Regex> host_patterns;   // of server_name
  std::vector<Regex> patterns;        // match host and what follows
};

struct RefererConf {
  static constexpr Level kLevel = Level::location;
  std::shared_ptr<ValidReferers> referers;
  Setting<std::int64_t> hash_max_size;
  Setting<std::int64_t> hash_bucket_size;

  Status merge(Context& ctx, const RefererConf& parent);
};

Status add_host(Context& ctx, ValidReferers& referers, std::string_view host, std::string_view path) {
  switch (referers.hosts.add(host, path)) {
    case HostEntry::added:
      return {};
    case HostEntry::invalid:
      return ctx.error("invalid hostname or wildcard \"" + std::string(host) + "\"");
    case HostEntry::conflicting:
      return ctx.error("conflicting parameter \"" + std::string(host) + "\"");
  }
  return {};
}

Status add_pattern(Context& ctx, std::vector<Regex>& patterns, std::string_view text) {
  auto pattern = Regex::compile(text, Regex::kCaseless);
  if (!pattern) return ctx.error(pattern.error().text);
  patterns.push_back(std::move(*pattern));
  return {};
}

Status RefererConf::merge(Context& ctx, const RefererConf& parent) {
  if (referers == nullptr) {
    referers = parent.referers;
    return {};
  }
  if (referers->server_names && ctx.has(Level::server)) {
    for (const ServerName& name : ctx.conf<CoreServer>().names) {
      if (name.regex) {
        std::string_view text = name.text;
        while (text.starts_with('~') || text.starts_with('*')) text.remove_prefix(1);
        TRY(add_pattern(ctx, referers->host_patterns, text));
      } else if (!name.text.empty()) {
        TRY(add_host(ctx, *referers, name.text, {}));
      }
    }
  }
  if ((referers->none || referers->blocked) && referers->hosts.empty() && referers->patterns.empty() &&
      referers->host_patterns.empty()) {
    return ctx.error(conf::Position(),
                     "the \"none\" or \"blocked\" referers are specified in the \"valid_referers\" directive "
                     "without any valid referer");
  }
  return {};
}

Status parse_valid_referers(Context& ctx, const Node& node) {
  auto& shared = ctx.conf<RefererConf>().referers;
  if (shared == nullptr) shared = std::make_shared<ValidReferers>();
  for (const conf::Arg& arg : node.args) {
    const std::string_view text = arg.text;
    if (text.empty()) return ctx.error(arg, "invalid referer \"\"");
    if (text == "none") {
      shared->none = true;
    } else if (text == "blocked") {
      shared->blocked = true;
    } else if (text == "server_names") {
      shared->server_names = true;
    } else if (text == "~") {
      return ctx.error(arg, "empty regex in \"~\"");
    } else if (text.front() == '~') {
      TRY(add_pattern(ctx, shared->patterns, text.substr(1)));
    } else {
      const std::size_t slash = std::min(text.find('/'), text.size());
      TRY(add_host(ctx, *shared, text.substr(0, slash), text.substr(slash)));
    }
  }
  return {};
}

bool any_matches(const std::vector<Regex>& patterns, std::string_view text) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const Regex& pattern) { return pattern.matches(text); });
}

bool is_valid(const Request& r, const ValidReferers& referers) {
  const HeaderField* field = r.in.find(HeaderId::referer);
  if (field == nullptr) return referers.none;
  std::string_view url = field->value;
  const std::size_t scheme = starts_with_nocase(url, "http://")    ? 7
                             : starts_with_nocase(url, "https://") ? 8
                                                                   : 0;
  constexpr std::size_t kShortest = 11;  // http://i.ru
  if (scheme == 0 || url.size() < kShortest) return referers.blocked;
  url.remove_prefix(scheme);
  const std::string_view host = url.substr(0, url.find_first_of("/:"));
  if (host.size() > kMaxHost) return false;
  if (const std::string_view* path = referers.hosts.find(host)) {
    const std::size_t slash = std::min(url.find('/'), url.size());
    return url.substr(slash).starts_with(*path);
  }
  return any_matches(referers.host_patterns, host) || any_matches(referers.patterns, url);
}

Status define_variables(Context& ctx) {
  ctx.conf<CoreMain>().variables.define(
      Variable{.name = "invalid_referer",
               .get =
                   [](Request& r, const Variable&) {
                     const auto& referers = r.conf<RefererConf>().referers;
                     return Value::of(referers == nullptr || is_valid(r, *referers) ? "" : "1");
                   },
               .changeable = true});
  return {};
}

constexpr conf::Scope kScopes = conf::Scope::server | conf::Scope::location;
constexpr conf::Directive kDirectives[] = {
    {.name = "valid_referers", .where = kScopes, .args = conf::at_least(1), .parse = parse_valid_referers},
    {.name = "referer_hash_max_size",
     .where = kScopes,
     .args = conf::exactly(1),
     .parse = conf::set<&RefererConf::hash_max_size>},
    {.name = "referer_hash_bucket_size",
     .where = kScopes,
     .args = conf::exactly(1),
     .parse = conf::set<&RefererConf::hash_bucket_size>},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<RefererConf>()};

}  // namespace

const conf::Module kRefererModule = {
    .name = "http_referer", .directives = kDirectives, .confs = kConfs, .before_http = define_variables};

}  // namespace mp::http
