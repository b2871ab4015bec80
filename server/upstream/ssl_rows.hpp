// The rows of the X_ssl_ directives of a module with an UpstreamSsl: kSslRows<"uwsgi", &UwsgiConf::ssl>.
#pragma once

#include <array>

#include "upstream/ssl.hpp"
#include "upstream/transfer_rows.hpp"

namespace mp::upstream {

namespace detail {

template <auto Part, auto Member>
Status set_ssl(conf::Context& ctx, const conf::Node& node) {
  return conf::detail::set_value(ctx, node, part_of<Part>(ctx).*Member);
}
template <FixedText Prefix, FixedText Name, auto Part, auto Member>
constexpr conf::Directive ssl_row(conf::Arity args = conf::exactly(1)) {
  return row<Prefix, Name>(args, set_ssl<Part, Member>);
}
template <auto Part>
Status ssl_protocols(conf::Context& ctx, const conf::Node& node) {
  return parse_ssl_protocols(ctx, node, part_of<Part>(ctx).protocols);
}

}  // namespace detail

template <FixedText P, auto Part>
inline constexpr std::array kSslRows = {
    detail::ssl_row<P, "_ssl_session_reuse", Part, &UpstreamSsl::session_reuse>(),
    detail::row<P, "_ssl_protocols">(conf::at_least(1), detail::ssl_protocols<Part>),
    detail::ssl_row<P, "_ssl_ciphers", Part, &UpstreamSsl::ciphers>(),
    detail::ssl_row<P, "_ssl_name", Part, &UpstreamSsl::name>(),
    detail::ssl_row<P, "_ssl_server_name", Part, &UpstreamSsl::server_name>(),
    detail::ssl_row<P, "_ssl_verify", Part, &UpstreamSsl::verify>(),
    detail::ssl_row<P, "_ssl_verify_depth", Part, &UpstreamSsl::verify_depth>(),
    detail::ssl_row<P, "_ssl_trusted_certificate", Part, &UpstreamSsl::trusted_certificate>(),
    detail::ssl_row<P, "_ssl_crl", Part, &UpstreamSsl::crl>(),
    detail::ssl_row<P, "_ssl_certificate", Part, &UpstreamSsl::certificate>(),
    detail::ssl_row<P, "_ssl_certificate_key", Part, &UpstreamSsl::key>(),
    detail::ssl_row<P, "_ssl_certificate_cache", Part, &UpstreamSsl::certificate_cache>(conf::between(1, 3)),
    detail::ssl_row<P, "_ssl_password_file", Part, &UpstreamSsl::passwords>(),
    detail::ssl_row<P, "_ssl_conf_command", Part, &UpstreamSsl::conf_commands>(conf::exactly(2)),
};

}  // namespace mp::upstream
