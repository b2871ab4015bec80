#include "lua/hooks/ssl.hpp"

#include <memory>
#include <string>

#include "conf/configuration.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"
#include "http/ssl_conf.hpp"
#include "http/ssl_connection.hpp"
#include "lua/conf.hpp"
#include "lua/hooks/hooks.hpp"
#include "lua/request_data.hpp"
#include "lua/sched/light_thread.hpp"
#include "lua/ssl/conf.hpp"
#include "upstream/proxy.hpp"

namespace mp::lua {
namespace {

using http::Request;
using http::SslConnection;

// What a handshake's scripts log is on behalf of the connection, and says which of them it was.
class HandshakeSubject final : public log::Subject {
 public:
  HandshakeSubject(http::Connection& connection, Context context)
      : connection_(connection), context_(context) {}
  void describe(std::string& out) const override {
    out.append(", context: ").append(context_name(context_));
    const char* before = std::exchange(connection_.doing, "");
    connection_.describe(out);
    connection_.doing = before;
  }
  std::uint64_t connection_id() const override { return connection_.number; }

 private:
  http::Connection& connection_;
  Context context_;
};

// The tables of scripts (ngx.ctx) that all hooks of one handshake share, and that its requests inherit from.
struct SharedTables {
  explicit SharedTables(Vm& v) : vm(v), slot(v.take_slot()) { handshakes_have_tables = 1; }
  ~SharedTables() { vm.free_slot(slot); }
  Vm& vm;
  int slot;
};

// True unless the script has failed or refused.
bool may_go_on(Run& run, Run::End end) {
  switch (end) {
    case Run::End::returned:
      return true;
    case Run::End::failed:
      return false;
    case Run::End::cancelled:
      throw fiber::Cancelled{};
    case Run::End::exited:
      break;
  }
  constexpr int kRefusal = 400;
  return run.exit_kind() != Run::Exit::status || (run.exit_status() != -1 && run.exit_status() < kRefusal);
}

// Runs `chunk` for a handshake. `prepare` fills the data before, `after` sees it afterwards.
template <class Prepare, class After>
bool run_for_client(SslConnection& c, const Chunk& chunk, Context hook, Prepare prepare, After after) {
  http::HandshakeRequest handshake(c);
  Request& r = *handshake;
  const HandshakeSubject subject(c.connection, hook);
  r.logger.subject = &subject;
  RequestData* data = request_data(r);
  if (data == nullptr) return false;
  auto tables = std::static_pointer_cast<SharedTables>(c.script_data);
  if (data->own_vm == nullptr) {
    if (tables == nullptr) c.script_data = tables = std::make_shared<SharedTables>(*data->vm);
    data->slot = tables->slot;
  }
  auto& state = r.ctx<HandshakeData>();
  state.client = c.ssl();
  prepare(state);
  bool good;
  {
    const RunScope run(*data->vm, &r, hook);
    int status = 0;
    if (!push_code(*run, chunk, status)) {
      good = false;
    } else if (hook == kSslSessionStore) {
      const Run::End end = run->go_quietly(0);
      if (end == Run::End::failed)
        log::error(r.logger, "failed to run session_store_by_lua*: {}", run->error());
      good = may_go_on(*run, end);
    } else {
      good = may_go_on(*run, run->go(0));
    }
  }
  if (data->own_vm == nullptr) data->slot = 0;  // the connection's, not this request's
  after(state, good);
  return good;
}

const LuaServer& hooks_of(const SslConnection& c) {
  return c.server->sets.get<LuaServer>();
}

bool client_hello(SslConnection& c, int&) {
  return run_for_client(
      c, *hooks_of(c).ssl_client_hello, kSslClientHello, [](HandshakeData& d) { d.in_hello = true; },
      [](HandshakeData&, bool) {});
}

bool certificate(SslConnection& c) {
  // The server that was chosen by name may have no certificate of its own, nor code to find one.
  const Chunk* chunk = hooks_of(c).ssl_certificate;
  if (chunk == nullptr) {
    log::alert(c.connection.logger, "no ssl_certificate_by_lua* defined in server {}",
               c.server->sets.get<http::CoreServer>().first_name);
    return false;
  }
  return run_for_client(c, *chunk, kSslCert, [](HandshakeData&) {}, [](HandshakeData&, bool) {});
}

// Runs below OpenSSL's frames.
template <class F>
void guarded(SSL* ssl, F&& f) {
  try {
    f();
  } catch (...) {
    tls::Stream::of(ssl)->note_cancelled();
  }
}

SSL_SESSION* fetch_session(SSL* ssl, std::string_view id) {
  SslConnection* c = SslConnection::of(ssl);
  SSL_SESSION* found = nullptr;
  guarded(ssl, [&] {
    const Chunk* chunk = c->connection.address->default_server->sets.get<LuaServer>().ssl_session_fetch;
    run_for_client(
        *c, *chunk, kSslSessionFetch, [id](HandshakeData& d) { d.session_id = id; },
        [&found](HandshakeData& d, bool good) {
          if (good) {
            found = d.session;
          } else if (d.session != nullptr) {
            SSL_SESSION_free(d.session);
          }
        });
  });
  return found;
}

void store_session(SSL* ssl, SSL_SESSION* session) {
  if (SSL_version(ssl) >= TLS1_3_VERSION) return;
  SslConnection* c = SslConnection::of(ssl);
  guarded(ssl, [&] {
    const Chunk* chunk = c->connection.address->default_server->sets.get<LuaServer>().ssl_session_store;
    run_for_client(
        *c, *chunk, kSslSessionStore,
        [session](HandshakeData& d) {
          unsigned size = 0;
          const unsigned char* id = SSL_SESSION_get_id(session, &size);
          d.session = session;
          d.session_id = {reinterpret_cast<const char*>(id), size};
        },
        [](HandshakeData&, bool) {});
  });
}

// ---- with upstream servers: in the request itself

template <class Prepare>
bool run_for_upstream(Request& r, const Chunk& chunk, Context context, const char* doing, SSL* ssl,
                      Prepare prepare) {
  RequestData* data = request_data(r);
  if (data == nullptr) return false;
  auto& state = r.ctx<HandshakeData>();
  state.upstream = ssl;
  prepare(state);
  const char* before = std::exchange(r.connection.doing, doing);
  struct Ended {
    Request& request;
    HandshakeData& data;
    const char* doing;
    ~Ended() {
      request.connection.doing = doing;
      data.verification = nullptr;
      data.upstream = nullptr;
    }
  } const ended{r, state, before};
  const RunScope run(*data->vm, &r, context);
  int status = 0;
  return push_code(*run, chunk, status) && may_go_on(*run, run->go(0));
}

bool upstream_certificate(Request& r, SSL* ssl) {
  return run_for_upstream(r, *r.conf<LuaLocation>().proxy_ssl_certificate, kProxySslCert,
                          " while loading proxy ssl certificate by lua", ssl, [](HandshakeData&) {});
}

bool upstream_verify(Request& r, SSL* ssl, X509_STORE_CTX* store) {
  if (!r.conf<LuaSsl>().skip_default_verify && X509_verify_cert(store) <= 0) return false;
  return run_for_upstream(r, *r.conf<LuaLocation>().proxy_ssl_verify, kProxySslVerify,
                          " while loading proxy ssl verify by lua", ssl,
                          [store](HandshakeData& d) { d.verification = store; });
}

}  // namespace

int handshakes_have_tables = 0;

int handshake_slot(Request& r) {
  const auto& ssl = r.connection.carrier->ssl;
  if (ssl == nullptr || ssl->script_data == nullptr) return 0;
  const auto* tables = static_cast<const SharedTables*>(ssl->script_data.get());
  const RequestData* data = r.find_ctx<RequestData>();
  return data != nullptr && data->vm == &tables->vm ? tables->slot : 0;
}

Status set_handshake_hooks(conf::Context& ctx) {
  for (const http::Server* server : ctx.conf<http::CoreMain>().servers) {
    const auto& code = server->sets.get<LuaServer>();
    auto& ssl = server->sets.get<http::SslServer>();
    if (!ssl.context) {
      if (code.ssl_client_hello == nullptr && code.ssl_certificate == nullptr) continue;
      return ctx.error(*server->sets[conf::Level::server]->node, "no ssl configured for the server");
    }
    if (code.ssl_client_hello != nullptr) ssl.hooks.client_hello = client_hello;
    if (code.ssl_certificate != nullptr) ssl.hooks.certificate = certificate;
    if (code.ssl_session_fetch != nullptr) ssl.sessions->hooks.fetch = fetch_session;
    if (code.ssl_session_store != nullptr) ssl.sessions->hooks.store = store_session;
    ssl.sessions->use_hooks(ssl.context->get());
  }
  return {};
}

Status set_proxy_hooks(conf::Context& ctx) {
  for (conf::ConfSet* set : ctx.configuration().sets(conf::Level::location)) {
    const auto& code = set->get<LuaLocation>();
    auto& proxy = set->get<upstream::ProxyConf>();
    const bool tls = proxy.target.tls || proxy.target.url.has_value();
    for (const auto& [chunk, name] : {std::pair{code.proxy_ssl_certificate, "proxy_ssl_certificate_by_lua*"},
                                      std::pair{code.proxy_ssl_verify, "proxy_ssl_verify_by_lua*"}}) {
      if (chunk == nullptr || tls) continue;
      return ctx.error(*set->node, std::string(name) + " should be used with proxy_pass https url");
    }
    if (code.proxy_ssl_certificate != nullptr) proxy.ssl.hooks.certificate = upstream_certificate;
    if (code.proxy_ssl_verify != nullptr) proxy.ssl.hooks.verify = upstream_verify;
  }
  return {};
}

}  // namespace mp::lua
