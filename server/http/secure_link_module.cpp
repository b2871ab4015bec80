// secure_link: $secure_link tells whether a link was made by someone who knows the secret, and is still good.
#include <string>

#include "base/base64.hpp"
#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"
#include "http/value_modules.hpp"

namespace mp::http {
namespace {

using conf::Context;

struct SecureLinkConf {
  static constexpr Level kLevel = Level::location;
  Setting<Template> link;  // "hash,expiry"
  Setting<Template> md5;   // what the hash was made of
  Setting<std::string_view> secret;

  Status merge(Context& ctx, const SecureLinkConf& parent) {
    if (secret.is_set()) {
      if (!link.is_set() && !md5.is_set()) return {};
      return ctx.error("\"secure_link_secret\" cannot be mixed with \"secure_link\" and \"secure_link_md5\"");
    }
    link.inherit(parent.link);
    md5.inherit(parent.md5);
    if (!link.is_set() && !md5.is_set()) secret.inherit(parent.secret);
    return {};
  }
};

struct LinkExpiry {
  std::string_view text;
};

// "/prefix/HEX/link": the hash is that of link and secret.
Value check_secret(const Request& r, std::string_view secret) {
  const std::string_view uri = r.raw_uri;
  const std::size_t first = uri.find('/', 1);
  const std::size_t second = first == std::string_view::npos ? first : uri.find('/', first + 1);
  if (second == std::string_view::npos) return Value::none();
  const std::string_view hex = uri.substr(first + 1, second - first - 1);
  const std::string_view link = uri.substr(second + 1);
  if (hex.size() != 2 * Md5::kSize || link.empty()) return Value::none();
  std::string given(Md5::kSize, '\0');
  for (std::size_t i = 0; i < given.size(); ++i) {
    const auto byte = parse_hex(hex.substr(2 * i, 2));
    if (!byte) return Value::none();
    given[i] = static_cast<char>(*byte);
  }
  const auto digest = Md5().add(link).add(secret).finish();
  return equal_in_constant_time(as_text(digest), given) ? Value::of(link) : Value::none();
}

Value secure_link(Request& r, const Variable&) {
  const auto& c = r.conf<SecureLinkConf>();
  if (c.secret.is_set()) return check_secret(r, c.secret.get());
  if (!c.link.is_set() || !c.md5.is_set()) return Value::none();

  std::string_view hash = c.link->evaluate(r);
  std::int64_t expires = 0;
  if (const auto parts = split_once(hash, ',')) {
    const auto at = parse_natural<std::int64_t>(parts->second);
    if (!at || *at == 0) return Value::none();
    expires = *at;
    hash = parts->first;
    r.ctx<LinkExpiry>().text = parts->second;
  }
  constexpr std::size_t kMaxHash = 24;
  char given[kMaxHash];
  if (hash.size() > kMaxHash) return Value::none();
  const auto end = decode_base64url_into(given, hash);
  if (!end || *end - given != Md5::kSize) return Value::none();
  const auto digest = Md5().add(c.md5->evaluate(r)).finish();
  if (!equal_in_constant_time(as_text(digest), {given, Md5::kSize})) return Value::none();
  return Value::of(expires != 0 && expires < clock().seconds() ? "0" : "1");
}

Status define_variables(Context& ctx) {
  static constexpr Variable kVariables[] = {
      {.name = "secure_link", .get = secure_link},
      {.name = "secure_link_expires",
       .get =
           [](Request& r, const Variable&) {
             const auto* expiry = r.find_ctx<LinkExpiry>();
             return expiry != nullptr ? Value::of(expiry->text) : Value::none();
           }},
  };
  ctx.conf<CoreMain>().variables.define(kVariables);
  return {};
}

constexpr conf::Directive kDirectives[] = {
    {.name = "secure_link",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set<&SecureLinkConf::link>},
    {.name = "secure_link_md5",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set<&SecureLinkConf::md5>},
    {.name = "secure_link_secret",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set<&SecureLinkConf::secret>},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<SecureLinkConf>()};

}  // namespace

const conf::Module kSecureLinkModule = {
    .name = "http_secure_link", .directives = kDirectives, .confs = kConfs, .before_http = define_variables};

}  // namespace mp::http
