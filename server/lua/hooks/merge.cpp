// Inheritance of the Lua settings and of the code of hooks.
#include "lua/conf.hpp"

namespace mp::lua {

namespace {

void inherit(Chunk*& chunk, Chunk* parent) {
  if (chunk == nullptr) chunk = parent;
}

}  // namespace

Status LuaServer::merge(conf::Context&, const LuaServer& parent) {
  inherit(server_rewrite, parent.server_rewrite);
  inherit(ssl_client_hello, parent.ssl_client_hello);
  inherit(ssl_certificate, parent.ssl_certificate);
  inherit(ssl_session_fetch, parent.ssl_session_fetch);
  inherit(ssl_session_store, parent.ssl_session_store);
  return {};
}

Status LuaLocation::merge(conf::Context&, const LuaLocation& parent) {
  code_cache.inherit(parent.code_cache, true);
  use_default_type.inherit(parent.use_default_type, true);
  need_request_body.inherit(parent.need_request_body, false);
  transform_underscores.inherit(parent.transform_underscores, true);
  check_client_abort.inherit(parent.check_client_abort, false);
  http10_buffering.inherit(parent.http10_buffering, true);
  inherit(rewrite, parent.rewrite);
  inherit(access, parent.access);
  inherit(precontent, parent.precontent);
  inherit(content, parent.content);
  inherit(header_filter, parent.header_filter);
  inherit(body_filter, parent.body_filter);
  inherit(log, parent.log);
  inherit(proxy_ssl_certificate, parent.proxy_ssl_certificate);
  inherit(proxy_ssl_verify, parent.proxy_ssl_verify);
  return {};
}

}  // namespace mp::lua
