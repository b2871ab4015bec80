// What is built in, in the words of the peer's configure script: -V and ngx.config.nginx_configure().
#pragma once

#include <string_view>

namespace mp {

// What scripts look for to learn which of the peer's build options this server has.
inline constexpr std::string_view kConfigureArguments =
    " --with-http_ssl_module --with-http_v2_module --with-http_realip_module --with-http_addition_module"
    " --with-http_sub_module --with-http_dav_module --with-http_gunzip_module --with-http_gzip_static_module"
    " --with-http_auth_request_module --with-http_random_index_module --with-http_secure_link_module"
    " --with-http_slice_module --with-http_stub_status_module --with-pcre-jit --with-threads";

}  // namespace mp
