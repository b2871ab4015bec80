#include "http/core_conf.hpp"

#include "http/mime.hpp"

namespace mp::http {

Status CoreServer::merge(conf::Context& ctx, const CoreServer& parent) {
  connection_pool_size.inherit(parent.connection_pool_size, 512);
  request_pool_size.inherit(parent.request_pool_size, 4096);
  client_header_buffer_size.inherit(parent.client_header_buffer_size, 1024);
  large_client_header_buffers.inherit(parent.large_client_header_buffers, {4, 8192});
  if (large_client_header_buffers->size < connection_pool_size) {
    return ctx.error(
        "the \"large_client_header_buffers\" size must be equal to or greater than \"connection_pool_size\"");
  }
  client_header_timeout.inherit(parent.client_header_timeout, 60000);
  max_headers.inherit(parent.max_headers, 1000);
  ignore_invalid_headers.inherit(parent.ignore_invalid_headers, true);
  merge_slashes.inherit(parent.merge_slashes, true);
  underscores_in_headers.inherit(parent.underscores_in_headers, false);
  return {};
}

namespace {

void inherit_files(conf::Context& ctx, CoreLocation& c, const CoreLocation& parent) {
  if (!c.root.is_set()) c.alias = parent.alias && parent.root.is_set();
  c.root.inherit(parent.root, Template::literal(ctx.full_path("html")));
  c.sendfile.inherit(parent.sendfile, false);
  c.if_modified_since.inherit(parent.if_modified_since, IfModifiedSince::exact);
  c.max_ranges.inherit(parent.max_ranges, -1);
  c.etag.inherit(parent.etag, true);
  c.default_type.inherit(parent.default_type, "text/plain");
  if (c.types == nullptr) c.types = parent.types;
  if (c.types == nullptr) {
    c.types = std::make_shared<MimeTypes>();
    c.types->set_defaults();
  }
}

void inherit_body(conf::Context& ctx, CoreLocation& c, const CoreLocation& parent) {
  c.client_max_body_size.inherit(parent.client_max_body_size, 1024 * 1024);
  c.client_body_buffer_size.inherit(parent.client_body_buffer_size, 16384);
  c.client_body_timeout.inherit(parent.client_body_timeout, 60000);
  c.client_body_in_file_only.inherit(parent.client_body_in_file_only, BodyInFile::off);
  c.client_body_in_single_buffer.inherit(parent.client_body_in_single_buffer, false);
  conf::LevelledPath temp;
  if (!c.client_body_temp_path.is_set() && !parent.client_body_temp_path.is_set()) {
    temp.path = ctx.full_path("client_body_temp");
  }
  c.client_body_temp_path.inherit(parent.client_body_temp_path, temp);
}

void inherit_connection(CoreLocation& c, const CoreLocation& parent) {
  c.tcp_nopush.inherit(parent.tcp_nopush, false);
  c.tcp_nodelay.inherit(parent.tcp_nodelay, true);
  c.send_timeout.inherit(parent.send_timeout, 60000);
  c.send_lowat.inherit(parent.send_lowat, 0);
  c.postpone_output.inherit(parent.postpone_output, 1460);
  c.limit_rate.inherit(parent.limit_rate);
  c.limit_rate_after.inherit(parent.limit_rate_after);
  c.keepalive_timeout.inherit(parent.keepalive_timeout, 75000);
  c.keepalive_header.inherit(parent.keepalive_header, 0);
  c.keepalive_time.inherit(parent.keepalive_time, 3600000);
  c.keepalive_min_timeout.inherit(parent.keepalive_min_timeout, 0);
  c.keepalive_requests.inherit(parent.keepalive_requests, 1000);
  c.keepalive_disable.inherit(parent.keepalive_disable, static_cast<std::uint32_t>(KeepaliveDisable::msie6));
  c.lingering_close.inherit(parent.lingering_close, LingeringClose::on);
  c.lingering_time.inherit(parent.lingering_time, 30000);
  c.lingering_timeout.inherit(parent.lingering_timeout, 5000);
  c.reset_timedout_connection.inherit(parent.reset_timedout_connection, false);
  c.chunked_transfer_encoding.inherit(parent.chunked_transfer_encoding, true);
}

}  // namespace

Status CoreLocation::merge(conf::Context& ctx, const CoreLocation& parent) {
  inherit_files(ctx, *this, parent);
  inherit_body(ctx, *this, parent);
  inherit_connection(*this, parent);
  internal.inherit(parent.internal, false);
  satisfy.inherit(parent.satisfy, Satisfy::all);
  auth_delay.inherit(parent.auth_delay, 0);
  absolute_redirect.inherit(parent.absolute_redirect, true);
  server_name_in_redirect.inherit(parent.server_name_in_redirect, false);
  port_in_redirect.inherit(parent.port_in_redirect, true);
  msie_padding.inherit(parent.msie_padding, true);
  msie_refresh.inherit(parent.msie_refresh, false);
  log_not_found.inherit(parent.log_not_found, true);
  log_subrequest.inherit(parent.log_subrequest, false);
  recursive_error_pages.inherit(parent.recursive_error_pages, false);
  server_tokens.inherit(parent.server_tokens, ServerTokens::on);
  if (error_log == nullptr) error_log = parent.error_log;
  if (!error_pages_set) {
    error_pages = parent.error_pages;
    error_pages_set = parent.error_pages_set;
  }
  return {};
}

}  // namespace mp::http
