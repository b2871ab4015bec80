#include "lua/context.hpp"

namespace mp::lua {

namespace {

struct Names {
  Context context;
  const char* hook;
  const char* phase;
};
constexpr Names kNames[] = {
    {kInit, "init_by_lua*", "init"},
    {kSet, "set_by_lua*", "set"},
    {kRewrite, "rewrite_by_lua*", "rewrite"},
    {kAccess, "access_by_lua*", "access"},
    {kContent, "content_by_lua*", "content"},
    {kLog, "log_by_lua*", "log"},
    {kHeaderFilter, "header_filter_by_lua*", "header_filter"},
    {kBodyFilter, "body_filter_by_lua*", "body_filter"},
    {kTimer, "ngx.timer", "timer"},
    {kInitWorker, "init_worker_by_lua*", "init_worker"},
    {kBalancer, "balancer_by_lua*", "balancer"},
    {kSslCert, "ssl_certificate_by_lua*", "ssl_cert"},
    {kSslSessionStore, "ssl_session_store_by_lua*", "ssl_session_store"},
    {kSslSessionFetch, "ssl_session_fetch_by_lua*", "ssl_session_fetch"},
    {kExitWorker, "exit_worker_by_lua*", "exit_worker"},
    {kSslClientHello, "ssl_client_hello_by_lua*", "ssl_client_hello"},
    {kServerRewrite, "server_rewrite_by_lua*", "server_rewrite"},
    {kProxySslVerify, "proxy_ssl_verify_by_lua*", "proxy_ssl_verify"},
    {kPrecontent, "precontent_by_lua*", "precontent"},
    {kProxySslCert, "proxy_ssl_certificate_by_lua*", "proxy_ssl_cert"},
};

const Names* find(Context context) {
  for (const Names& row : kNames) {
    if (row.context == context) return &row;
  }
  return nullptr;
}

}  // namespace

const char* context_name(Context context) {
  const Names* row = find(context);
  return row != nullptr ? row->hook : "(unknown)";
}

const char* phase_name(Context context) {
  const Names* row = find(context);
  return row != nullptr ? row->phase : nullptr;
}

}  // namespace mp::lua
