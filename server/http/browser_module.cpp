// browser: $modern_browser, $ancient_browser and $msie, from what the client says it is.
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/ascii.hpp"
#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"
#include "http/value_modules.hpp"

namespace mp::http {
namespace {

using conf::Context;
using conf::Node;

// How a browser is found in a User-Agent: its version stands behind `mark`, and not within the first
// `skip` characters. Opera is asked for first, as it may call itself MSIE as well.
struct Family {
  std::string_view name;
  std::string_view skip;
  std::string_view mark;
  std::size_t version_at;  // behind the start of the mark
};
constexpr std::array<Family, 5> kFamilies = {{
    {"opera", "", "Opera", 6},
    {"msie", "Mozilla/4.0 (compatible; ", "MSIE ", 5},
    {"gecko", "Mozilla/5.0 (", "rv:", 3},
    {"safari", "Mozilla/5.0 (", "Safari/", 7},
    {"konqueror", "Mozilla/5.0 (compatible; ", "Konqueror/", 10},
}};
constexpr std::size_t kOpera = 0;

using Version = std::uint64_t;
constexpr Version kNotModern = ~Version{0};

// "1.2.3" as one number that orders versions: two digits for each part behind the first. Takes what it
// understands off the front of `text`.
Version take_version(std::string_view& text) {
  constexpr Version kLargestPart = 999'999;
  Version version = 0, part = 0, scale = 1'000'000;
  for (; !text.empty(); text.remove_prefix(1)) {
    const char c = text.front();
    if (is_digit(c)) {
      part = std::min<Version>(part * 10 + static_cast<Version>(c - '0'), kLargestPart);
    } else if (c == '.') {
      version += part * scale;
      part = 0;
      scale /= 100;
    } else {
      break;
    }
  }
  return version + part * scale;
}

struct ModernBrowsers {
  std::array<Version, kFamilies.size()> since{};
  std::array<bool, kFamilies.size()> named{};
  bool any = false;
  bool unlisted = false;  // those that no directive speaks of are modern
};
struct AncientBrowsers {
  std::vector<std::string_view> marks;
  bool netscape4 = false;
};

struct BrowserConf {
  static constexpr Level kLevel = Level::location;
  std::shared_ptr<ModernBrowsers> modern;
  std::shared_ptr<AncientBrowsers> ancient;
  Setting<std::string_view> modern_value;
  Setting<std::string_view> ancient_value;

  Status merge(Context&, const BrowserConf& parent) {
    if (modern == nullptr) modern = parent.modern;
    if (ancient == nullptr) ancient = parent.ancient;
    modern_value.inherit(parent.modern_value, "1");
    ancient_value.inherit(parent.ancient_value, "1");
    return {};
  }
};

enum class Age { unknown, modern, ancient };

Age age_among(const ModernBrowsers& browsers, std::string_view agent) {
  for (std::size_t i = 0; i < kFamilies.size(); ++i) {
    const Family& family = kFamilies[i];
    if (!browsers.named[i] && i != kOpera) continue;
    const std::size_t at = agent.find(family.mark, family.skip.size());
    if (at == std::string_view::npos || at + family.version_at >= agent.size()) continue;
    std::string_view rest = agent.substr(at + family.version_at);
    const Version since = browsers.named[i] ? browsers.since[i] : kNotModern;
    return take_version(rest) >= since ? Age::modern : Age::ancient;
  }
  return browsers.unlisted ? Age::unknown : Age::ancient;
}

bool is_netscape4(std::string_view agent) {
  constexpr std::string_view kName = "Mozilla/";
  return agent.starts_with(kName) && agent.size() > std::string_view("Mozilla/4.72 ").size() &&
         agent[kName.size()] > '0' && agent[kName.size()] < '5';
}

bool is_ancient(const AncientBrowsers& browsers, std::string_view agent) {
  if (browsers.netscape4 && is_netscape4(agent)) return true;
  return std::any_of(browsers.marks.begin(), browsers.marks.end(),
                     [&](std::string_view mark) { return agent.find(mark) != std::string_view::npos; });
}

Age browser_age(const Request& r) {
  const auto& c = r.conf<BrowserConf>();
  const Age unlisted = c.modern != nullptr && c.modern->unlisted ? Age::modern : Age::ancient;
  const HeaderField* agent = r.in.find(HeaderId::user_agent);
  if (agent == nullptr) return unlisted;
  if (c.modern != nullptr && c.modern->any) {
    const Age age = age_among(*c.modern, agent->value);
    if (age != Age::unknown) return age;
  }
  return c.ancient != nullptr && is_ancient(*c.ancient, agent->value) ? Age::ancient : unlisted;
}

Value modern_browser(Request& r, const Variable&) {
  return Value::of(browser_age(r) == Age::modern ? r.conf<BrowserConf>().modern_value.get() : "");
}
Value ancient_browser(Request& r, const Variable&) {
  return Value::of(browser_age(r) == Age::ancient ? r.conf<BrowserConf>().ancient_value.get() : "");
}
Value msie(Request& r, const Variable&) {
  constexpr std::string_view kMark = "MSIE ";
  const HeaderField* agent = r.in.find(HeaderId::user_agent);
  if (agent == nullptr || agent->value.find("Opera") != std::string_view::npos) return Value::of("");
  const std::size_t at = agent->value.find(kMark);
  const bool found = at != std::string_view::npos && at + kMark.size() + 2 < agent->value.size();
  return Value::of(found ? "1" : "");
}

Status define_variables(Context& ctx) {
  static constexpr Variable kVariables[] = {
      {.name = "msie", .get = msie, .changeable = true},
      {.name = "modern_browser", .get = modern_browser, .changeable = true},
      {.name = "ancient_browser", .get = ancient_browser, .changeable = true},
  };
  ctx.conf<CoreMain>().variables.define(kVariables);
  return {};
}

Status parse_modern_browser(Context& ctx, const Node& node) {
  auto& browsers = ctx.conf<BrowserConf>().modern;
  if (browsers == nullptr) browsers = std::make_shared<ModernBrowsers>();
  const conf::Arg& name = node.args[0];
  if (node.args.size() == 1) {
    if (name.text != "unlisted")
      return ctx.error(name, "invalid parameter \"" + std::string(name.text) + "\"");
    browsers->unlisted = true;
    return {};
  }
  const auto family = std::find_if(kFamilies.begin(), kFamilies.end(), [&](const Family& candidate) {
    return equals_nocase(candidate.name, name.text);
  });
  if (family == kFamilies.end())
    return ctx.error(name, "unknown browser name \"" + std::string(name.text) + "\"");
  std::string_view text = node.args[1].text;
  const Version version = take_version(text);
  if (!text.empty())
    return ctx.error(node.args[1], "invalid browser version \"" + std::string(node.args[1].text) + "\"");
  const auto index = static_cast<std::size_t>(family - kFamilies.begin());
  browsers->any = true;
  if (!browsers->named[index]) browsers->since[index] = version;
  browsers->named[index] = true;
  return {};
}

Status parse_ancient_browser(Context& ctx, const Node& node) {
  auto& browsers = ctx.conf<BrowserConf>().ancient;
  if (browsers == nullptr) browsers = std::make_shared<AncientBrowsers>();
  for (const conf::Arg& arg : node.args) {
    if (arg.text == "netscape4")
      browsers->netscape4 = true;
    else
      browsers->marks.push_back(arg.text);
  }
  return {};
}

constexpr conf::Directive kDirectives[] = {
    {.name = "modern_browser",
     .where = conf::kHttpServerLocation,
     .args = conf::between(1, 2),
     .parse = parse_modern_browser},
    {.name = "ancient_browser",
     .where = conf::kHttpServerLocation,
     .args = conf::at_least(1),
     .parse = parse_ancient_browser},
    {.name = "modern_browser_value",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set<&BrowserConf::modern_value>},
    {.name = "ancient_browser_value",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set<&BrowserConf::ancient_value>},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<BrowserConf>()};

}  // namespace

const conf::Module kBrowserModule = {
    .name = "http_browser", .directives = kDirectives, .confs = kConfs, .before_http = define_variables};

}  // namespace mp::http
