#include "app/build_details.hpp"

#include <algorithm>
#include <string_view>

#include "app/modules.hpp"

namespace mp::app {
namespace {

// A module is built in when it has this directive.
struct Row {
  std::string_view module;
  std::string_view directive;
};

constexpr Row kOptional[] = {
    {"http_ssl_module", "ssl_certificate"},
    {"http_v2_module", "http2"},
    {"http_v3_module", "http3"},
    {"http_realip_module", "set_real_ip_from"},
    {"http_addition_module", "add_after_body"},
    {"http_sub_module", "sub_filter"},
    {"http_dav_module", "dav_methods"},
    {"http_flv_module", "flv"},
    {"http_mp4_module", "mp4"},
    {"http_gunzip_module", "gunzip"},
    {"http_gzip_static_module", "gzip_static"},
    {"http_auth_request_module", "auth_request"},
    {"http_random_index_module", "random_index"},
    {"http_secure_link_module", "secure_link"},
    {"http_slice_module", "slice"},
    {"http_stub_status_module", "stub_status"},
    {"debug", "debug_connection"},
    {"pcre-jit", "pcre_jit"},
    {"threads", "thread_pool"},
};

constexpr Row kDefault[] = {
    {"http_charset_module", "charset"},
    {"http_gzip_module", "gzip"},
    {"http_ssi_module", "ssi"},
    {"http_userid_module", "userid"},
    {"http_access_module", "allow"},
    {"http_auth_basic_module", "auth_basic"},
    {"http_mirror_module", "mirror"},
    {"http_autoindex_module", "autoindex"},
    {"http_geo_module", "geo"},
    {"http_map_module", "map"},
    {"http_split_clients_module", "split_clients"},
    {"http_referer_module", "valid_referers"},
    {"http_rewrite_module", "return"},
    {"http_proxy_module", "proxy_pass"},
    {"http_fastcgi_module", "fastcgi_pass"},
    {"http_uwsgi_module", "uwsgi_pass"},
    {"http_scgi_module", "scgi_pass"},
    {"http_grpc_module", "grpc_pass"},
    {"http_memcached_module", "memcached_pass"},
    {"http_tunnel_module", "tunnel_pass"},
    {"http_limit_conn_module", "limit_conn"},
    {"http_limit_req_module", "limit_req"},
    {"http_empty_gif_module", "empty_gif"},
    {"http_browser_module", "modern_browser"},
    {"http_upstream_hash_module", "hash"},
    {"http_upstream_ip_hash_module", "ip_hash"},
    {"http_upstream_least_conn_module", "least_conn"},
    {"http_upstream_least_time_module", "least_time"},
    {"http_upstream_random_module", "random"},
    {"http_upstream_keepalive_module", "keepalive"},
    {"http_upstream_zone_module", "zone"},
    {"http_upstream_sticky_module", "sticky"},
    {"http-cache", "proxy_cache_path"},
};

bool has_directive(std::string_view name) {
  const auto list = modules();
  return std::any_of(list.begin(), list.end(), [name](const conf::Module* module) {
    return std::any_of(module->directives.begin(), module->directives.end(),
                       [name](const conf::Directive& d) { return d.name == name; });
  });
}

}  // namespace

std::string configure_arguments() {
  std::string text;
  for (const Row& row : kOptional) {
    if (has_directive(row.directive)) text.append(" --with-").append(row.module);
  }
  for (const Row& row : kDefault) {
    if (!has_directive(row.directive)) text.append(" --without-").append(row.module);
  }
  return text;
}

}  // namespace mp::app
