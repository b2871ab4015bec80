// The directives of the proxy module and how they are inherited.
#include <array>
#include <string>

#include "base/ascii.hpp"
#include "base/numbers.hpp"
#include "conf/setters.hpp"
#include "http/request.hpp"
#include "upstream/cache/use.hpp"
#include "upstream/proxy.hpp"
#include "upstream/ssl_rows.hpp"
#include "upstream/transfer_rows.hpp"

namespace mp::upstream {
namespace {

using conf::at_least;
using conf::between;
using conf::Context;
using conf::Directive;
using conf::exactly;
using conf::flag;
using conf::kHttpServerLocation;
using conf::Node;
using conf::Scope;

constexpr std::string_view kHidden[] = {"Date",
                                        "Server",
                                        "X-Pad",
                                        "X-Accel-Expires",
                                        "X-Accel-Redirect",
                                        "X-Accel-Limit-Rate",
                                        "X-Accel-Buffering",
                                        "X-Accel-Charset"};

constexpr std::string_view kBodyLength = "$proxy_internal_body_length";
constexpr std::string_view kChunked = "$proxy_internal_chunked";

constexpr std::pair<std::string_view, std::string_view> kDefaultHeaders[] = {
    {"Host", ""},
    {"Connection", ""},
    {"Proxy-Connection", ""},
    {"Content-Length", kBodyLength},
    {"Transfer-Encoding", kChunked},
    {"TE", ""},
    {"Keep-Alive", ""},
    {"Expect", ""},
    {"Upgrade", ""},
};
// What is kept serves every client: their conditions and ranges do not go on.
constexpr std::pair<std::string_view, std::string_view> kCacheHeaders[] = {
    {"If-Modified-Since", "$upstream_cache_last_modified"},
    {"If-Unmodified-Since", ""},
    {"If-None-Match", "$upstream_cache_etag"},
    {"If-Match", ""},
    {"Range", ""},
    {"If-Range", ""},
};

constexpr ProxyFlavour kProxy = {"proxy", kHidden, kDefaultHeaders, "proxy_temp"};

constexpr conf::Named<ProxyConf::HttpVersion> kVersions[] = {{"1.0", ProxyConf::HttpVersion::http10},
                                                             {"1.1", ProxyConf::HttpVersion::http11},
                                                             {"2", ProxyConf::HttpVersion::http2}};

Status parse_set_header(Context& ctx, const Node& node) {
  ctx.conf<ProxyConf>().set_headers.push(ctx.arena(), {node.args[0].text, node.args[1].text});
  return {};
}

constexpr std::array kOwnRows = {
    Directive{.name = "proxy_pass",
              .where = Scope::location | Scope::location_if | Scope::limit_except,
              .args = exactly(1),
              .parse = parse_proxy_pass},
    Directive{.name = "proxy_redirect",
              .where = kHttpServerLocation,
              .args = between(1, 2),
              .parse = parse_proxy_redirect},
    Directive{.name = "proxy_cookie_domain",
              .where = kHttpServerLocation,
              .args = between(1, 2),
              .parse = parse_proxy_cookie_domain},
    Directive{.name = "proxy_cookie_path",
              .where = kHttpServerLocation,
              .args = between(1, 2),
              .parse = parse_proxy_cookie_path},
    Directive{.name = "proxy_cookie_flags",
              .where = kHttpServerLocation,
              .args = between(1, 4),
              .parse = parse_proxy_cookie_flags},
    Directive{.name = "proxy_set_header",
              .where = kHttpServerLocation,
              .args = exactly(2),
              .parse = parse_set_header},
    Directive{.name = "proxy_set_body",
              .where = kHttpServerLocation,
              .args = exactly(1),
              .parse = conf::set<&ProxyConf::body>},
    Directive{.name = "proxy_method",
              .where = kHttpServerLocation,
              .args = exactly(1),
              .parse = conf::set<&ProxyConf::method>},
    Directive{.name = "proxy_http_version",
              .where = kHttpServerLocation,
              .args = exactly(1),
              .parse = conf::set_enum<&ProxyConf::http_version, kVersions>},
    Directive{.name = "proxy_pass_trailers",
              .where = kHttpServerLocation,
              .args = flag(),
              .parse = set_transfer<&ProxyConf::transfer, &TransferConf::pass_trailers>},
    Directive{.name = "proxy_send_lowat",
              .where = kHttpServerLocation,
              .args = exactly(1),
              .parse = set_transfer<&ProxyConf::transfer, &TransferConf::send_lowat>},
    Directive{.name = "proxy_headers_hash_max_size",
              .where = kHttpServerLocation,
              .args = exactly(1),
              .parse = set_transfer<&ProxyConf::transfer, &TransferConf::headers_hash_max_size>},
    Directive{.name = "proxy_headers_hash_bucket_size",
              .where = kHttpServerLocation,
              .args = exactly(1),
              .parse = set_transfer<&ProxyConf::transfer, &TransferConf::headers_hash_bucket_size>},
    Directive{.name = "proxy_cache_convert_head",
              .where = kHttpServerLocation,
              .args = flag(),
              .parse = detail::set_cache<&ProxyConf::transfer, &CacheConf::convert_head>},
};
constexpr auto kDirectives = join_rows(
    kOwnRows, kConnectionRows<"proxy", &ProxyConf::transfer>, kBodyRows<"proxy", &ProxyConf::transfer>,
    kCacheRows<"proxy", &ProxyConf::transfer>, kSslRows<"proxy", &ProxyConf::ssl>);

constexpr conf::ConfType kConfs[] = {conf::conf_type<ProxyConf>()};

Status before_http(Context& ctx) {
  define_proxy_variables(ctx.conf<http::CoreMain>().variables);
  define_cache_variables(ctx.conf<http::CoreMain>().variables);
  return {};
}

Status add_field(Context& ctx, ProxyHeaders& headers, std::string_view name, std::string_view value) {
  headers.replaced.add(name);
  if (value.empty()) return {};
  auto compiled = http::Template::compile(ctx, value);
  if (!compiled) return ctx.error(compiled.error().text);
  using Kind = ProxyHeaders::Field::Kind;
  auto& fields = headers.fields;
  if (compiled->constant()) {
    if (fields.empty() || fields.back().kind != Kind::lines) fields.push_back({Kind::lines, {}, {}});
    fields.back().text = ctx.arena().concat(fields.back().text, name, ": ", value, "\r\n");
  } else {
    const Kind kind = value == kBodyLength ? Kind::body_length
                      : value == kChunked  ? Kind::chunked
                                           : Kind::value;
    fields.push_back({kind, ctx.arena().concat(name, ": "), std::move(*compiled)});
    if (kind == Kind::value) ++headers.values;
  }
  headers.room += name.size() + value.size() + kMaxDecimal + 4;
  return {};
}

}  // namespace

Status ProxyConf::merge(Context& ctx, const ProxyConf& parent) {
  return merge_as(ctx, parent, kProxy);
}

Status ProxyConf::merge_as(Context& ctx, const ProxyConf& parent, const ProxyFlavour& flavour) {
  TRY(transfer.merge(ctx, parent.transfer, flavour.prefix, flavour.hidden, flavour.temp_folder));
  http_version.inherit(parent.http_version, HttpVersion::http11);
  method.inherit(parent.method);
  body.inherit(parent.body);
  cookie_domains.inherit(parent.cookie_domains, nullptr);
  cookie_paths.inherit(parent.cookie_paths, nullptr);
  cookie_flags.inherit(parent.cookie_flags, nullptr);
  merge_redirects(ctx, parent);

  const auto& core = ctx.conf<http::CoreBlock>();
  if (core.is_block && !target.is_set()) target = parent.target;
  TRY(ssl.merge(ctx, parent.ssl, flavour.prefix, target.tls || target.url.has_value()));
  return merge_headers(ctx, parent, flavour);
}

// `proxy_redirect default` holds unless something else is said, in this block or around it.
void ProxyConf::merge_redirects(Context& ctx, const ProxyConf& parent) {
  if (!redirect_set) {
    redirect_set = parent.redirect_set;
    redirect_off = parent.redirect_off;
  }
  if (redirect_off) {
    redirects = nullptr;
    return;
  }
  if (redirects == nullptr && parent.redirect_set && !parent.redirect_off) redirects = parent.redirects;
  if (redirects == nullptr && target.upstream != nullptr) {
    redirects = std::make_shared<std::vector<ProxyRewrite>>();
    redirects->push_back(default_redirect(ctx, target));
  }
}

// Fields set here replace all those set around; the defaults join where none of that name was set.
Status ProxyConf::merge_headers(Context& ctx, const ProxyConf& parent, const ProxyFlavour& flavour) {
  const bool caches = transfer.cache.choice->is_on();
  if (set_headers.empty()) {
    set_headers = parent.set_headers;
    headers = parent.headers;
    cache_headers = parent.cache_headers;
  }
  if (headers == nullptr) {
    auto made = make_headers(ctx, flavour, false);
    if (!made) return fail(made.error());
    headers = std::move(*made);
  }
  if (caches && cache_headers == nullptr) {
    auto made = make_headers(ctx, flavour, true);
    if (!made) return fail(made.error());
    cache_headers = std::move(*made);
  }
  const std::string_view host = target.parts.host_header;
  const bool known = target.upstream != nullptr && !headers->host && !host.empty();
  if (known && http_version != HttpVersion::http10) {
    opening = ctx.arena().concat(" HTTP/1.1\r\nHost: ", host, "\r\n");
  }
  return {};
}

Result<std::shared_ptr<const ProxyHeaders>> ProxyConf::make_headers(Context& ctx, const ProxyFlavour& flavour,
                                                                    bool cache) const {
  auto made = std::make_shared<ProxyHeaders>();
  for (const conf::KeyValue& pair : set_headers) {
    if (!equals_nocase(pair.key, "Host")) {
      TRY(add_field(ctx, *made, pair.key, pair.value));
      continue;
    }
    auto host = http::Template::compile(ctx, pair.value);
    if (!host) return ctx.error(host.error().text);
    made->host = std::move(*host);
  }
  const auto add_default = [&](const auto& header) -> Status {
    const auto& [name, value] = header;
    bool given = false;
    for (const conf::KeyValue& pair : set_headers) given |= equals_nocase(pair.key, name);
    if (given && name != "Host") return {};
    return add_field(ctx, *made, name, value);
  };
  for (const auto& header : flavour.headers) TRY(add_default(header));
  if (cache) {
    for (const auto& header : kCacheHeaders) TRY(add_default(header));
  }
  return made;
}

constexpr conf::Module kProxyModule = {
    .name = "proxy", .directives = kDirectives, .confs = kConfs, .before_http = before_http};

}  // namespace mp::upstream
