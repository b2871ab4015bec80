// proxy_redirect and proxy_cookie_*: URLs and cookies of the upstream server as the client shall see them.
#include <algorithm>
#include <string>
#include <vector>

#include "base/ascii.hpp"
#include "base/strings.hpp"
#include "conf/setters.hpp"
#include "http/request.hpp"
#include "upstream/proxy.hpp"

namespace mp::upstream {
namespace {

using http::Request;
using http::Template;

std::string quoted(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

// ---- cookies

struct Attribute {
  std::string_view name;
  std::string_view value;
  bool has_value = false;
  bool dropped = false;
};

std::string_view trim_spaces(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

std::vector<Attribute> parse_cookie(std::string_view cookie) {
  std::vector<Attribute> out;
  for (std::string_view part : split(cookie, ';')) {
    const std::size_t equals = part.find('=');
    Attribute attribute;
    attribute.name = trim_spaces(part.substr(0, equals));
    attribute.has_value = equals != std::string_view::npos;
    if (attribute.has_value) attribute.value = trim_spaces(part.substr(equals + 1));
    out.push_back(attribute);
  }
  return out;
}

bool rewrite_value(Request& r, const std::vector<ProxyRewrite>& rules, Attribute& attribute) {
  for (const ProxyRewrite& rule : rules) {
    const std::string_view changed = rule.apply(r, attribute.value);
    if (changed.data() == nullptr) continue;
    attribute.value = changed;
    return true;
  }
  return false;
}

enum FlagBits : unsigned {
  kSecureOn = 1,
  kSecureOff = 2,
  kHttpOnlyOn = 4,
  kHttpOnlyOff = 8,
  kSameSiteStrict = 16,
  kSameSiteLax = 32,
  kSameSiteNone = 64,
  kSameSiteOff = 128,
};

struct FlagName {
  std::string_view name;
  unsigned bit;
};
constexpr FlagName kFlagNames[] = {
    {"secure", kSecureOn},
    {"nosecure", kSecureOff},
    {"httponly", kHttpOnlyOn},
    {"nohttponly", kHttpOnlyOff},
    {"samesite=strict", kSameSiteStrict},
    {"samesite=lax", kSameSiteLax},
    {"samesite=none", kSameSiteNone},
    {"nosamesite", kSameSiteOff},
};

// The flags wanted for the cookie of this name.
unsigned wanted_flags(Request& r, const std::vector<CookieFlags>& rules, std::string_view name) {
  for (const CookieFlags& rule : rules) {
    const bool fits =
        rule.regex != nullptr ? rule.regex->match(r, name) : equals_nocase(rule.name.evaluate(r), name);
    if (!fits) continue;
    unsigned bits = 0;
    for (const Template& flag : rule.flags) {
      const std::string_view text = flag.evaluate(r);
      for (const FlagName& known : kFlagNames) {
        if (equals_nocase(known.name, text)) bits |= known.bit;
      }
    }
    return bits;
  }
  return 0;
}

// A flag without a value: there already, to be added, or to go.
void edit_switch(std::vector<Attribute>& cookie, std::string_view name, bool on, bool off) {
  bool present = false;
  for (std::size_t i = 1; i < cookie.size(); ++i) {
    if (!equals_nocase(cookie[i].name, name)) continue;
    present = true;
    if (!on && off) cookie[i].dropped = true;
  }
  if (on && !present) cookie.push_back({.name = name});
}

void edit_same_site(std::vector<Attribute>& cookie, unsigned bits) {
  std::string_view value;
  if (bits & kSameSiteNone) value = "None";
  if (bits & kSameSiteLax) value = "Lax";
  if (bits & kSameSiteStrict) value = "Strict";
  bool present = false;
  for (std::size_t i = 1; i < cookie.size(); ++i) {
    if (!equals_nocase(cookie[i].name, "samesite")) continue;
    present = true;
    if (value.empty()) {
      cookie[i].dropped = (bits & kSameSiteOff) != 0;
    } else if (!equals_nocase(cookie[i].value, value)) {
      cookie[i] = {.name = "SameSite", .value = value, .has_value = true};
    }
  }
  if (!present && !value.empty()) cookie.push_back({.name = "SameSite", .value = value, .has_value = true});
}

std::string_view print_cookie(Arena& arena, const std::vector<Attribute>& cookie) {
  std::size_t size = 0;
  for (const Attribute& a : cookie) size += a.name.size() + a.value.size() + 3;
  char* const start = arena.bytes(size + 1);
  char* p = start;
  for (const Attribute& a : cookie) {
    if (a.dropped) continue;
    if (p != start) {
      *p++ = ';';
      *p++ = ' ';
    }
    p = std::copy(a.name.begin(), a.name.end(), p);
    if (!a.has_value) continue;
    *p++ = '=';
    p = std::copy(a.value.begin(), a.value.end(), p);
  }
  return {start, static_cast<std::size_t>(p - start)};
}

// ---- configuration

Result<Template> compile(conf::Context& ctx, const conf::Arg& arg, std::string_view text) {
  auto compiled = Template::compile(ctx, text);
  if (!compiled) return ctx.error(arg, compiled.error().text);
  return compiled;
}

Status read_regex(conf::Context& ctx, const conf::Arg& arg, std::string_view text, bool caseless,
                  std::shared_ptr<http::HttpRegex>& out) {
  auto regex = http::HttpRegex::compile(ctx, text, caseless);
  if (!regex) return ctx.error(arg, regex.error().text);
  out = std::make_shared<http::HttpRegex>(std::move(*regex));
  return {};
}

// A pattern and its replacement; `~` in front of the pattern makes it a regex.
Status read_rewrite(conf::Context& ctx, const conf::Node& node, ProxyRewrite::Kind plain, ProxyRewrite& out) {
  std::string_view pattern = node.args[0].text;
  std::string_view replacement = node.args[1].text;
  if (consume(pattern, "~")) {
    const bool domain = plain == ProxyRewrite::Kind::domain;
    const bool caseless = domain || consume(pattern, "*");
    out.kind = ProxyRewrite::Kind::regex;
    TRY(read_regex(ctx, node.args[0], pattern, caseless, out.regex));
  } else {
    out.kind = plain;
    if (plain == ProxyRewrite::Kind::domain) {
      (void)consume(pattern, ".");
      (void)consume(replacement, ".");
    }
    auto compiled = compile(ctx, node.args[0], pattern);
    if (!compiled) return fail(compiled.error());
    out.pattern = std::move(*compiled);
  }
  auto compiled = compile(ctx, node.args[1], replacement);
  if (!compiled) return fail(compiled.error());
  out.replacement = std::move(*compiled);
  return {};
}

// "off" alone, or one more rule. `off` says that this was the former.
template <class T>
Status open_list(conf::Context& ctx, const conf::Node& node, Setting<ProxyConf::Rewrites<T>>& setting,
                 bool& off) {
  off = node.args.size() == 1;
  if (setting.is_set() && setting.get() == nullptr) return conf::duplicate();
  if (!off) {
    if (!setting.is_set()) setting.set(std::make_shared<std::vector<T>>());
    return {};
  }
  if (node.args[0].text != "off")
    return ctx.error(node.args[0], "invalid parameter " + quoted(node.args[0].text));
  if (setting.is_set()) return conf::duplicate();
  setting.set(nullptr);
  return {};
}

Status add_cookie_rule(conf::Context& ctx, const conf::Node& node,
                       Setting<ProxyConf::Rewrites<ProxyRewrite>>& setting, ProxyRewrite::Kind plain) {
  bool off = false;
  TRY(open_list(ctx, node, setting, off));
  if (off) return {};
  ProxyRewrite rule;
  TRY(read_rewrite(ctx, node, plain, rule));
  setting.edit()->push_back(std::move(rule));
  return {};
}

}  // namespace

std::string_view ProxyRewrite::apply(Request& r, std::string_view value) const {
  switch (kind) {
    case Kind::prefix: {
      const std::string_view front = pattern.evaluate(r);
      if (!value.starts_with(front)) return {};
      return r.arena.concat(replacement.evaluate(r), value.substr(front.size()));
    }
    case Kind::regex:
      if (!regex->match(r, value)) return {};
      break;
    case Kind::domain: {
      std::string_view domain = value;
      const std::string_view dot = consume(domain, ".") ? "." : "";
      if (!equals_nocase(pattern.evaluate(r), domain)) return {};
      return r.arena.concat(dot, replacement.evaluate(r));
    }
  }
  return r.arena.concat(replacement.evaluate(r), "");
}

std::string_view rewrite_proxy_cookie(Request& r, const ProxyConf& conf, std::string_view cookie) {
  std::vector<Attribute> attributes = parse_cookie(cookie);
  if (!attributes[0].has_value) return {};
  bool changed = false;
  const auto* domains = conf.cookie_domains.get().get();
  const auto* paths = conf.cookie_paths.get().get();
  for (std::size_t i = 1; i < attributes.size(); ++i) {
    Attribute& a = attributes[i];
    if (!a.has_value) continue;
    if (domains != nullptr && equals_nocase(a.name, "domain")) changed |= rewrite_value(r, *domains, a);
    if (paths != nullptr && equals_nocase(a.name, "path")) changed |= rewrite_value(r, *paths, a);
  }
  if (const auto* flags = conf.cookie_flags.get().get()) {
    const unsigned bits = wanted_flags(r, *flags, attributes[0].name);
    if (bits != 0) {
      changed = true;
      edit_switch(attributes, "Secure", (bits & kSecureOn) != 0, (bits & kSecureOff) != 0);
      edit_switch(attributes, "HttpOnly", (bits & kHttpOnlyOn) != 0, (bits & kHttpOnlyOff) != 0);
      edit_same_site(attributes, bits);
    }
  }
  return changed ? print_cookie(r.arena, attributes) : std::string_view();
}

// ---- parse functions

ProxyRewrite default_redirect(conf::Context& ctx, const ProxyTarget& target) {
  ProxyRewrite rule;
  if (target.parts.uri.empty()) {
    rule.pattern = Template::literal(ctx.arena().concat(target.text, "/"));
    rule.replacement = Template::literal("/");
  } else {
    rule.pattern = Template::literal(target.text);
    rule.replacement = Template::literal(target.location);
  }
  return rule;
}

Status parse_proxy_redirect(conf::Context& ctx, const conf::Node& node) {
  auto& conf = ctx.conf<ProxyConf>();
  if (conf.redirect_off) return conf::duplicate();
  const std::string_view first = node.args[0].text;
  if (node.args.size() == 1 && first == "off") {
    if (conf.redirects != nullptr) return conf::duplicate();
    conf.redirect_set = conf.redirect_off = true;
    return {};
  }
  if (node.args.size() == 1 && first != "default") {
    return ctx.error(node.args[0], "invalid parameter " + quoted(first));
  }
  conf.redirect_set = true;
  if (conf.redirects == nullptr) conf.redirects = std::make_shared<std::vector<ProxyRewrite>>();
  ProxyRewrite rule;
  if (node.args.size() == 1) {
    if (conf.target.url) {
      return ctx.error(
          node, "\"proxy_redirect default\" cannot be used with \"proxy_pass\" directive with variables");
    }
    if (conf.target.upstream == nullptr) {
      return ctx.error(node,
                       "\"proxy_redirect default\" should be placed after the \"proxy_pass\" directive");
    }
    rule = default_redirect(ctx, conf.target);
  } else {
    TRY(read_rewrite(ctx, node, ProxyRewrite::Kind::prefix, rule));
  }
  conf.redirects->push_back(std::move(rule));
  return {};
}

Status parse_proxy_cookie_domain(conf::Context& ctx, const conf::Node& node) {
  return add_cookie_rule(ctx, node, ctx.conf<ProxyConf>().cookie_domains, ProxyRewrite::Kind::domain);
}

Status parse_proxy_cookie_path(conf::Context& ctx, const conf::Node& node) {
  return add_cookie_rule(ctx, node, ctx.conf<ProxyConf>().cookie_paths, ProxyRewrite::Kind::prefix);
}

Status parse_proxy_cookie_flags(conf::Context& ctx, const conf::Node& node) {
  auto& setting = ctx.conf<ProxyConf>().cookie_flags;
  bool off = false;
  TRY(open_list(ctx, node, setting, off));
  if (off) return {};
  CookieFlags rule;
  std::string_view name = node.args[0].text;
  if (consume(name, "~")) {
    TRY(read_regex(ctx, node.args[0], name, true, rule.regex));
  } else {
    auto compiled = compile(ctx, node.args[0], name);
    if (!compiled) return fail(compiled.error());
    rule.name = std::move(*compiled);
  }
  for (const conf::Arg& arg : node.args.subspan(1)) {
    auto flag = compile(ctx, arg, arg.text);
    if (!flag) return fail(flag.error());
    rule.flags.push_back(std::move(*flag));
  }
  setting.edit()->push_back(std::move(rule));
  return {};
}

}  // namespace mp::upstream
