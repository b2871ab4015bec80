#include "filters/gzip_accept.hpp"

#include <algorithm>

#include "base/clock.hpp"
#include "base/strings.hpp"
#include "http/request.hpp"

namespace mp::filters {

using http::HeaderId;
using http::Request;

namespace {

// Whether the weight behind a coding ("; q=0.5") is more than nothing. A broken one counts as none.
bool weighs(std::string_view rest) {
  rest = trim(rest);
  if (rest.empty() || rest.front() == ',') return true;
  if (rest.front() != ';') return false;
  rest = trim_left(rest.substr(1));
  if (rest.size() < 3 || (rest[0] != 'q' && rest[0] != 'Q') || rest[1] != '=') return false;
  rest.remove_prefix(2);
  if (rest[0] != '0' && rest[0] != '1') return false;
  const bool one = rest[0] == '1';
  if (rest.size() == 1 || rest[1] == ',' || rest[1] == ' ') return one;
  if (rest[1] != '.') return false;
  bool more = false;
  std::size_t i = 2;
  for (; i < rest.size() && is_digit(rest[i]); ++i) more |= rest[i] != '0';
  constexpr std::size_t kMostDigits = 3;
  if (i > 2 + kMostDigits || (i < rest.size() && rest[i] != ',' && rest[i] != ' ')) return false;
  return one ? !more : more;
}

bool proxied_allowed(Request& r, std::uint32_t rules) {
  auto allows = [rules](Proxied p) { return (rules & static_cast<std::uint32_t>(p)) != 0; };
  if (allows(Proxied::off)) return false;
  if (allows(Proxied::any)) return true;
  if (allows(Proxied::auth) && r.in.find(HeaderId::authorization) != nullptr) return true;
  const auto& headers = r.out.headers;
  if (const auto* expires = headers.find(HeaderId::expires)) {
    if (!allows(Proxied::expired)) return false;
    const auto when = parse_http_date(expires->value);
    if (!when) return false;
    const auto* date = headers.find(HeaderId::date);
    const auto now =
        date != nullptr ? parse_http_date(date->value).value_or(clock().seconds()) : clock().seconds();
    return *when < now;
  }
  if (headers.find(HeaderId::cache_control) != nullptr) {
    const std::string_view all = headers.joined(HeaderId::cache_control, ", ");
    if (allows(Proxied::no_cache) && find_nocase(all, "no-cache") != std::string_view::npos) return true;
    if (allows(Proxied::no_store) && find_nocase(all, "no-store") != std::string_view::npos) return true;
    return allows(Proxied::private_) && find_nocase(all, "private") != std::string_view::npos;
  }
  if (allows(Proxied::no_last_modified) && r.out.last_modified >= 0) return false;
  return !allows(Proxied::no_etag) || headers.find(HeaderId::etag) == nullptr;
}

// MSIE 4, 5 and 6 before service pack 2 cannot take it.
bool is_old_msie(std::string_view agent) {
  const std::size_t at = agent.find("MSIE ");
  if (at == std::string_view::npos || at + 6 >= agent.size()) return false;
  const std::string_view version = agent.substr(at + 5);
  if (version[0] == '4' || version[0] == '5') return true;
  return version[0] == '6' && version.size() > 1 && version[1] == '.' &&
         agent.find("SV1") == std::string_view::npos;
}

bool disabled_for_agent(Request& r, const GzipAcceptConf& c) {
  if (!c.disable_msie6 && c.disable.empty()) return false;
  const std::string_view agent = r.in.value(HeaderId::user_agent);
  if (agent.empty()) return false;
  if (c.disable_msie6 && is_old_msie(agent)) return true;
  for (const auto& regex : c.disable) {
    if (regex->matches(agent)) return true;
  }
  return false;
}

}  // namespace

bool accepts_gzip(std::string_view text) {
  for (std::size_t at = find_nocase(text, "gzip"); at != std::string_view::npos;
       at = find_nocase(text, "gzip", at + 4)) {
    const bool begins = at == 0 || text[at - 1] == ',' || text[at - 1] == ' ';
    if (!begins) continue;
    const std::string_view rest = text.substr(at + 4);
    if (rest.empty() || rest.front() == ',' || rest.front() == ';' || rest.front() == ' ')
      return weighs(rest);
  }
  return false;
}

bool may_gzip(Request& r) {
  if (r.is_sub()) return false;
  const auto* field = r.in.find(HeaderId::accept_encoding);
  if (field == nullptr || !accepts_gzip(field->value)) return false;
  const auto& c = r.conf<GzipAcceptConf>();
  if (static_cast<int>(r.version) < c.http_version.get()) return false;
  if (r.in.find(HeaderId::via) != nullptr && !proxied_allowed(r, c.proxied)) return false;
  return !disabled_for_agent(r, c);
}

void add_vary(Request& r) {
  if (!r.conf<GzipAcceptConf>().vary) return;
  for (const auto& f : r.out.headers) {
    if (f.id == HeaderId::vary && find_nocase(f.value, "accept-encoding") != std::string_view::npos) return;
  }
  r.out.headers.add(HeaderId::vary, "Accept-Encoding");
  std::rotate(r.out.headers.begin(), r.out.headers.end() - 1,
              r.out.headers.end());  // in front, as nginx has it
}

Status GzipAcceptConf::merge(conf::Context&, const GzipAcceptConf& parent) {
  vary.inherit(parent.vary, false);
  http_version.inherit(parent.http_version, 1001);
  proxied.inherit(parent.proxied, static_cast<std::uint32_t>(Proxied::off));
  if (!disable_set) {
    disable_set = parent.disable_set;
    disable_msie6 = parent.disable_msie6;
    disable = parent.disable;
  }
  return {};
}

Status parse_gzip_disable(conf::Context& ctx, const conf::Node& node) {
  auto& c = ctx.conf<GzipAcceptConf>();
  c.disable_set = true;
  for (const conf::Arg& arg : node.args) {
    if (arg.text == "msie6") {
      c.disable_msie6 = true;
      continue;
    }
    auto regex = Regex::compile(arg.text, Regex::kCaseless);
    if (!regex) return ctx.error(arg, regex.error().text);
    c.disable.push_back(std::make_shared<Regex>(std::move(*regex)));
  }
  return {};
}

Status parse_gzip_http_version(conf::Context& ctx, const conf::Node& node) {
  auto& c = ctx.conf<GzipAcceptConf>();
  if (c.http_version.is_set()) return fail("is duplicate");
  const std::string_view text = node.args[0].text;
  if (text != "1.0" && text != "1.1")
    return ctx.error(node.args[0], "invalid value \"" + std::string(text) + "\"");
  c.http_version.set(text == "1.0" ? 1000 : 1001);
  return {};
}

}  // namespace mp::filters
