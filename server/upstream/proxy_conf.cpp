// The directives of the proxy module and how they are inherited.
#include <string>

#include "base/ascii.hpp"
#include "conf/setters.hpp"
#include "http/request.hpp"
#include "upstream/proxy.hpp"

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

struct DefaultHeader {
  std::string_view name;
  std::string_view value;
};
constexpr DefaultHeader kDefaultHeaders[] = {
    {"Host", ""},
    {"Connection", ""},
    {"Proxy-Connection", ""},
    {"Content-Length", "$proxy_internal_body_length"},
    {"Transfer-Encoding", "$proxy_internal_chunked"},
    {"TE", ""},
    {"Keep-Alive", ""},
    {"Expect", ""},
    {"Upgrade", ""},
};

constexpr conf::Named<ProxyConf::HttpVersion> kVersions[] = {{"1.0", ProxyConf::HttpVersion::http10},
                                                             {"1.1", ProxyConf::HttpVersion::http11}};

template <auto Member>
constexpr auto transfer = set_transfer<&ProxyConf::transfer, Member>;

template <auto Member>
constexpr auto ssl = set_ssl<&ProxyConf::ssl, Member>;

Status parse_protocols(Context& ctx, const Node& node) {
  return parse_ssl_protocols(ctx, node, ctx.conf<ProxyConf>().ssl.protocols);
}
Status parse_next_upstream(Context& ctx, const Node& node) {
  return parse_bits(ctx, node, ctx.conf<ProxyConf>().transfer.next_upstream, kNextUpstreamNames);
}
Status parse_ignore_headers(Context& ctx, const Node& node) {
  return parse_bits(ctx, node, ctx.conf<ProxyConf>().transfer.ignore_headers, kIgnoreHeaderNames);
}
Status parse_proxy_bind(Context& ctx, const Node& node) {
  return parse_bind(ctx, node, ctx.conf<ProxyConf>().transfer.bind);
}
Status parse_proxy_store(Context& ctx, const Node& node) {
  return parse_store(ctx, node, ctx.conf<ProxyConf>().transfer.store);
}
Status parse_pass_header(Context& ctx, const Node& node) {
  auto& conf = ctx.conf<ProxyConf>().transfer;
  conf.pass_header_set = true;
  conf.pass_header_list.push(ctx.arena(), node.args[0].text);
  return {};
}
Status parse_hide_header(Context& ctx, const Node& node) {
  auto& conf = ctx.conf<ProxyConf>().transfer;
  conf.hide_header_set = true;
  conf.hide_header_list.push(ctx.arena(), node.args[0].text);
  return {};
}
Status parse_set_header(Context& ctx, const Node& node) {
  ctx.conf<ProxyConf>().set_headers.push(ctx.arena(), {node.args[0].text, node.args[1].text});
  return {};
}

constexpr Directive kDirectives[] = {
    {.name = "proxy_pass",
     .where = Scope::location | Scope::location_if | Scope::limit_except,
     .args = exactly(1),
     .parse = parse_proxy_pass},
    {.name = "proxy_redirect",
     .where = kHttpServerLocation,
     .args = between(1, 2),
     .parse = parse_proxy_redirect},
    {.name = "proxy_cookie_domain",
     .where = kHttpServerLocation,
     .args = between(1, 2),
     .parse = parse_proxy_cookie_domain},
    {.name = "proxy_cookie_path",
     .where = kHttpServerLocation,
     .args = between(1, 2),
     .parse = parse_proxy_cookie_path},
    {.name = "proxy_cookie_flags",
     .where = kHttpServerLocation,
     .args = between(1, 4),
     .parse = parse_proxy_cookie_flags},
    {.name = "proxy_store", .where = kHttpServerLocation, .args = exactly(1), .parse = parse_proxy_store},
    {.name = "proxy_store_access",
     .where = kHttpServerLocation,
     .args = between(1, 3),
     .parse = transfer<&TransferConf::store_access>},
    {.name = "proxy_buffering",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = transfer<&TransferConf::buffering>},
    {.name = "proxy_request_buffering",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = transfer<&TransferConf::request_buffering>},
    {.name = "proxy_ignore_client_abort",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = transfer<&TransferConf::ignore_client_abort>},
    {.name = "proxy_bind", .where = kHttpServerLocation, .args = between(1, 2), .parse = parse_proxy_bind},
    {.name = "proxy_socket_keepalive",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = transfer<&TransferConf::socket_keepalive>},
    {.name = "proxy_socket_rcvbuf",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = transfer<&TransferConf::socket_rcvbuf>},
    {.name = "proxy_socket_sndbuf",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = transfer<&TransferConf::socket_sndbuf>},
    {.name = "proxy_connect_timeout",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = transfer<&TransferConf::connect_timeout>},
    {.name = "proxy_send_timeout",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = transfer<&TransferConf::send_timeout>},
    {.name = "proxy_send_lowat",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = transfer<&TransferConf::send_lowat>},
    {.name = "proxy_read_timeout",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = transfer<&TransferConf::read_timeout>},
    {.name = "proxy_intercept_errors",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = transfer<&TransferConf::intercept_errors>},
    {.name = "proxy_set_header", .where = kHttpServerLocation, .args = exactly(2), .parse = parse_set_header},
    {.name = "proxy_headers_hash_max_size",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = transfer<&TransferConf::headers_hash_max_size>},
    {.name = "proxy_headers_hash_bucket_size",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = transfer<&TransferConf::headers_hash_bucket_size>},
    {.name = "proxy_set_body",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = conf::set<&ProxyConf::body>},
    {.name = "proxy_method",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = conf::set<&ProxyConf::method>},
    {.name = "proxy_pass_request_headers",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = transfer<&TransferConf::pass_request_headers>},
    {.name = "proxy_pass_request_body",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = transfer<&TransferConf::pass_request_body>},
    {.name = "proxy_pass_trailers",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = transfer<&TransferConf::pass_trailers>},
    {.name = "proxy_buffer_size",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = transfer<&TransferConf::buffer_size>},
    {.name = "proxy_buffers",
     .where = kHttpServerLocation,
     .args = exactly(2),
     .parse = transfer<&TransferConf::buffers>},
    {.name = "proxy_busy_buffers_size",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = transfer<&TransferConf::busy_buffers_size>},
    {.name = "proxy_force_ranges",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = transfer<&TransferConf::force_ranges>},
    {.name = "proxy_limit_rate",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = transfer<&TransferConf::limit_rate>},
    {.name = "proxy_temp_path",
     .where = kHttpServerLocation,
     .args = between(1, 4),
     .parse = transfer<&TransferConf::temp_path>},
    {.name = "proxy_max_temp_file_size",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = transfer<&TransferConf::max_temp_file_size>},
    {.name = "proxy_temp_file_write_size",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = transfer<&TransferConf::temp_file_write_size>},
    {.name = "proxy_next_upstream",
     .where = kHttpServerLocation,
     .args = at_least(1),
     .parse = parse_next_upstream},
    {.name = "proxy_next_upstream_tries",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = transfer<&TransferConf::next_upstream_tries>},
    {.name = "proxy_next_upstream_timeout",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = transfer<&TransferConf::next_upstream_timeout>},
    {.name = "proxy_pass_header",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = parse_pass_header},
    {.name = "proxy_hide_header",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = parse_hide_header},
    {.name = "proxy_ignore_headers",
     .where = kHttpServerLocation,
     .args = at_least(1),
     .parse = parse_ignore_headers},
    {.name = "proxy_http_version",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = conf::set_enum<&ProxyConf::http_version, kVersions>},
    {.name = "proxy_ssl_session_reuse",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = ssl<&UpstreamSsl::session_reuse>},
    {.name = "proxy_ssl_ciphers",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = ssl<&UpstreamSsl::ciphers>},
    {.name = "proxy_ssl_name",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = ssl<&UpstreamSsl::name>},
    {.name = "proxy_ssl_server_name",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = ssl<&UpstreamSsl::server_name>},
    {.name = "proxy_ssl_verify",
     .where = kHttpServerLocation,
     .args = flag(),
     .parse = ssl<&UpstreamSsl::verify>},
    {.name = "proxy_ssl_verify_depth",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = ssl<&UpstreamSsl::verify_depth>},
    {.name = "proxy_ssl_trusted_certificate",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = ssl<&UpstreamSsl::trusted_certificate>},
    {.name = "proxy_ssl_crl",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = ssl<&UpstreamSsl::crl>},
    {.name = "proxy_ssl_certificate",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = ssl<&UpstreamSsl::certificate>},
    {.name = "proxy_ssl_certificate_key",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = ssl<&UpstreamSsl::key>},
    {.name = "proxy_ssl_certificate_cache",
     .where = kHttpServerLocation,
     .args = between(1, 3),
     .parse = ssl<&UpstreamSsl::certificate_cache>},
    {.name = "proxy_ssl_password_file",
     .where = kHttpServerLocation,
     .args = exactly(1),
     .parse = ssl<&UpstreamSsl::passwords>},
    {.name = "proxy_ssl_conf_command",
     .where = kHttpServerLocation,
     .args = exactly(2),
     .parse = ssl<&UpstreamSsl::conf_commands>},
    {.name = "proxy_ssl_protocols",
     .where = kHttpServerLocation,
     .args = at_least(1),
     .parse = parse_protocols},
};

constexpr conf::ConfType kConfs[] = {conf::conf_type<ProxyConf>()};

Status before_http(Context& ctx) {
  define_proxy_variables(ctx.conf<http::CoreMain>().variables);
  return {};
}

Status add_field(Context& ctx, ProxyHeaders& headers, std::string_view name, std::string_view value) {
  headers.replaced.add(name);
  if (value.empty()) return {};
  auto compiled = http::Template::compile(ctx, value);
  if (!compiled) return ctx.error(compiled.error().text);
  headers.fields.push_back({name, std::move(*compiled)});
  return {};
}

}  // namespace

Status ProxyConf::merge(Context& ctx, const ProxyConf& parent) {
  TRY(transfer.merge(ctx, parent.transfer, "proxy", kHidden, "proxy_temp"));
  http_version.inherit(parent.http_version, HttpVersion::http11);
  method.inherit(parent.method);
  body.inherit(parent.body);
  cookie_domains.inherit(parent.cookie_domains, nullptr);
  cookie_paths.inherit(parent.cookie_paths, nullptr);
  cookie_flags.inherit(parent.cookie_flags, nullptr);
  merge_redirects(ctx, parent);

  auto& core = ctx.conf<http::CoreLocation>();
  if (core.is_block && !target.is_set()) target = parent.target;
  TRY(ssl.merge(ctx, parent.ssl, "proxy", target.tls || target.url.has_value()));
  return merge_headers(ctx, parent);
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
Status ProxyConf::merge_headers(Context& ctx, const ProxyConf& parent) {
  if (set_headers.empty()) {
    set_headers = parent.set_headers;
    if (parent.headers != nullptr) {
      headers = parent.headers;
      return {};
    }
  }
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
  for (const DefaultHeader& header : kDefaultHeaders) {
    bool given = false;
    for (const conf::KeyValue& pair : set_headers) given |= equals_nocase(pair.key, header.name);
    if (!given || header.name == "Host") TRY(add_field(ctx, *made, header.name, header.value));
  }
  headers = std::move(made);
  return {};
}

constexpr conf::Module kProxyModule = {
    .name = "proxy", .directives = kDirectives, .confs = kConfs, .before_http = before_http};

}  // namespace mp::upstream
