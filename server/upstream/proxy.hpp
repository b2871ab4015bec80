// The proxy module: passes requests on to HTTP servers. ProxyConf is what a location says about it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "conf/module.hpp"
#include "conf/setting.hpp"
#include "http/core_conf.hpp"
#include "http/regex.hpp"
#include "http/template.hpp"
#include "net/address_url.hpp"
#include "upstream/name_set.hpp"
#include "upstream/ssl.hpp"
#include "upstream/transfer_conf.hpp"

namespace mp::upstream {

struct Upstream;

// What a URL in proxy_pass says, or what its variables come to.
struct ProxyUrl {
  std::string_view scheme;       // "http://"
  std::string_view host_header;  // $proxy_host: with the port when it is not the scheme's own
  std::string_view port;         // $proxy_port
  std::string_view uri;          // empty: none was written
};

// proxy_pass of this very block, or of the one around an `if`.
struct ProxyTarget {
  Upstream* upstream = nullptr;
  std::optional<http::Template> url;  // with variables: evaluated by each request
  std::string_view text;              // the URL as written
  ProxyUrl parts;
  bool tls = false;
  std::string_view location;  // the prefix that the URI replaces; empty: none

  bool is_set() const { return upstream != nullptr || url.has_value(); }
};

// One proxy_redirect, proxy_cookie_domain or proxy_cookie_path.
struct ProxyRewrite {
  enum class Kind : std::uint8_t { prefix, regex, domain };
  Kind kind = Kind::prefix;
  http::Template pattern;
  std::shared_ptr<http::HttpRegex> regex;
  http::Template replacement;

  // The new text, or null data when the pattern does not fit.
  std::string_view apply(http::Request& request, std::string_view value) const;
};

struct CookieFlags {
  http::Template name;
  std::shared_ptr<http::HttpRegex> regex;  // instead of the name
  std::vector<http::Template> flags;
};

// The fields of proxied requests, put together from proxy_set_header and the defaults.
struct ProxyHeaders {
  struct Field {
    enum class Kind : std::uint8_t {
      lines,        // `text` is all there is: one or more lines whose values are constant
      value,        // the rest are known by the request; without a value there is no line
      body_length,  // $proxy_internal_body_length
      chunked,      // $proxy_internal_chunked
    } kind;
    std::string_view text;  // "Name: "
    http::Template value;
  };
  std::vector<Field> fields;
  std::size_t values = 0;              // how many of them are of Kind::value
  std::size_t room = 0;                // for all of them, but for the values of these
  std::optional<http::Template> host;  // Host comes first, and is $proxy_host when not set
  NameSet replaced;                    // fields of the client's that do not go on
};

// What differs between the modules that speak HTTP to upstream servers under names of their own.
struct ProxyFlavour {
  std::string_view prefix;  // of the directives
  std::span<const std::string_view> hidden;
  std::span<const std::pair<std::string_view, std::string_view>> headers;  // defaults; empty: not passed on
  std::string_view temp_folder;
};

struct ProxyConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  enum class HttpVersion : std::uint8_t { http10, http11, http2 };

  TransferConf transfer;
  UpstreamSsl ssl;
  ProxyTarget target;
  Setting<HttpVersion> http_version;  // 1.1
  Setting<http::Template> method;
  Setting<http::Template> body;  // proxy_set_body
  conf::KeyValueList set_headers;
  std::shared_ptr<const ProxyHeaders> headers;
  std::shared_ptr<const ProxyHeaders> cache_headers;  // of requests whose response is to be kept
  std::string_view opening;  // what follows the URI, Host included; empty: it depends on the request

  template <class T>
  using Rewrites = std::shared_ptr<std::vector<T>>;
  bool redirect_set = false;
  bool redirect_off = false;
  Rewrites<ProxyRewrite> redirects;
  Setting<Rewrites<ProxyRewrite>> cookie_domains;  // null: off
  Setting<Rewrites<ProxyRewrite>> cookie_paths;
  Setting<Rewrites<CookieFlags>> cookie_flags;

  Status merge(conf::Context& ctx, const ProxyConf& parent);
  Status merge_as(conf::Context& ctx, const ProxyConf& parent, const ProxyFlavour& flavour);

 private:
  Status merge_headers(conf::Context& ctx, const ProxyConf& parent, const ProxyFlavour& flavour);
  Result<std::shared_ptr<const ProxyHeaders>> make_headers(conf::Context& ctx, const ProxyFlavour& flavour,
                                                           bool cache) const;
  void merge_redirects(conf::Context& ctx, const ProxyConf& parent);
};

// What became of proxy_pass in one request, for $proxy_host and the like.
struct ProxyContext {
  ProxyUrl url;
  std::int64_t body_length = -1;
  bool chunked = false;
};

// The content handler.
http::Step serve_proxy(http::Request& request);

inline constexpr std::string_view kAlpnHttp2 = "\x02h2";  // in wire format

// ---- parse functions, by file
Status parse_proxy_pass(conf::Context& ctx, const conf::Node& node);      // proxy_pass.cpp
Status parse_proxy_redirect(conf::Context& ctx, const conf::Node& node);  // proxy_rewrite_conf.cpp
Status parse_proxy_cookie_domain(conf::Context& ctx, const conf::Node& node);
Status parse_proxy_cookie_path(conf::Context& ctx, const conf::Node& node);
Status parse_proxy_cookie_flags(conf::Context& ctx, const conf::Node& node);
// "proxy_redirect default": the URL of proxy_pass becomes the location.
ProxyRewrite default_redirect(conf::Context& ctx, const ProxyTarget& target);

// Changes the cookie as the location says; null data when it stays as it is.
std::string_view rewrite_proxy_cookie(http::Request& request, const ProxyConf& conf, std::string_view cookie);

// Splits "http://host:port/uri". Error: `invalid URL prefix`.
struct ParsedProxyUrl {
  ProxyUrl parts;
  net::AddressUrl url;
  bool tls = false;
};
Result<ParsedProxyUrl> parse_proxy_url(Arena& arena, std::string_view text);

void define_proxy_variables(http::VariableTable& table);

extern const conf::Module kProxyModule;

}  // namespace mp::upstream
