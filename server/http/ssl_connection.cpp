#include "http/ssl_connection.hpp"

#include <cerrno>

#include <openssl/err.h>

#include "fiber/fiber.hpp"
#include "http/core_conf.hpp"
#include "http/output.hpp"
#include "http/request.hpp"
#include "http/server_select.hpp"
#include "http/ssl_conf.hpp"
#include "http/uri_authority.hpp"
#include "tls/error.hpp"
#include "tls/hello.hpp"

namespace mp::http {
namespace {

const SslServer& ssl_conf(const Server& server) {
  return server.sets.get<SslServer>();
}

class NoSink final : public Sink {
 public:
  bool send_head(Request&, bool) override { return false; }
  bool send_body(Request&, const Output&) override { return false; }
};

// Errors that are the business of whoever asked for certificates of unknown issuers.
bool unknown_issuer(long code) {
  return code == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT || code == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
         code == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
         code == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
}

}  // namespace

SslConnection::SslConnection(Connection& c) : connection(c), server(c.address->default_server) {}
SslConnection::~SslConnection() = default;

const SslServer& SslConnection::conf() const {
  return ssl_conf(*server);
}

SslConnection* SslConnection::of(const SSL* ssl) {
  tls::Stream* stream = tls::Stream::of(ssl);
  return stream != nullptr ? static_cast<SslConnection*>(stream->owner) : nullptr;
}

void SslConnection::log_failure(tls::Stream::Outcome outcome) {
  using Outcome = tls::Stream::Outcome;
  const log::Logger& logger = connection.logger;
  const int error = stream_->error;
  switch (outcome) {
    case Outcome::done:
      return;
    case Outcome::timeout:
      return log::info(logger, log::Errno{ETIMEDOUT}, "client timed out");
    case Outcome::closed:
      if (!stream_->greeted()) return log::info(logger, "client closed connection");
      return tls::log_errors(log::Level::info, logger, "peer closed connection in SSL handshake", error);
    case Outcome::failed:
      if (rejected) return log::info(logger, "handshake rejected");
      tls::log_errors(tls::level_of_failure(stream_->ssl_error, error, log::Level::info), logger,
                      "SSL_do_handshake() failed", error);
  }
}

bool SslConnection::handshake(net::Msec deadline) {
  connection.doing = " while SSL handshaking";
  const SslServer& settings = conf();
  if (!settings.context) return false;
  auto stream = tls::Stream::accept(settings.context->get());
  if (stream == nullptr) {
    tls::log_errors(log::Level::alert, connection.logger, "SSL_new() failed");
    return false;
  }
  stream_ = stream.get();
  stream->owner = this;
  stream->logger = connection.logger;
  connection.socket.set_nodelay();
  connection.socket.set_layer(std::move(stream));
  const auto outcome = stream_->handshake(connection.socket, deadline);
  if (outcome != tls::Stream::Outcome::done) {
    if (!speaks_plain()) log_failure(outcome);
    ERR_clear_error();
    stream_->abandon();
    return false;
  }
  stream_->set_record_size(conf().buffer_size.get());
  check_status();
  connection.doing = " while waiting for request";
  return true;
}

bool SslConnection::choose_server(std::string_view name, int& alert) {
  if (rejected) {
    alert = SSL_AD_UNRECOGNIZED_NAME;
    return false;
  }
  if (name_seen) return true;
  if (!name.empty()) {
    HandshakeRequest request(*this);
    if (const auto host = parse_host((*request).arena, name)) {
      if (const Server* found = connection.address->names.find(host->name, &*request)) {
        server = found;
        server_name = std::string(host->name);
      }
    }
  }
  if (!server_name.empty()) {
    const auto& core = const_cast<conf::ConfSet*>(server->sets[conf::Level::location])->get<CoreLocation>();
    connection.logger.log = core.error_log.get();
    stream_->logger = connection.logger;
    if (const SslServer& settings = conf(); settings.context) {
      SSL* const s = ssl();
      SSL_CTX* const context = settings.context->get();
      if (SSL_set_SSL_CTX(s, context) == nullptr) {
        alert = SSL_AD_INTERNAL_ERROR;
        return false;
      }
      SSL_set_verify(s, SSL_CTX_get_verify_mode(context), SSL_CTX_get_verify_callback(context));
      SSL_set_verify_depth(s, SSL_CTX_get_verify_depth(context));
      SSL_clear_options(s, SSL_get_options(s) & ~SSL_CTX_get_options(context));
      SSL_set_options(s, SSL_CTX_get_options(context));
    }
  }
  if (conf().reject_handshake) {
    rejected = true;
    alert = SSL_AD_UNRECOGNIZED_NAME;
    return false;
  }
  name_seen = true;
  return true;
}

// ---- requests of a handshake

HandshakeRequest::HandshakeRequest(SslConnection& ssl) {
  static NoSink sink;
  request_ = std::make_unique<Request>(ssl.connection, sink);
  Request& r = *request_;
  r.sets = ssl.server->sets;
  r.server = ssl.server;
  r.method = Method::other;
  r.body.state = RequestBody::State::discarded;
  r.keepalive = false;
  r.enter_set(*r.sets[conf::Level::location]);
  r.logger = ssl.connection.logger;
  before_ = std::exchange(fiber::local().request, &r);
}

HandshakeRequest::~HandshakeRequest() {
  fiber::local().request = before_;
}

// ---- callbacks of OpenSSL

namespace {

// Code that may park is ended by cancellation, which must not unwind OpenSSL's frames.
template <class F>
bool guarded(const SSL* ssl, F&& f) {
  try {
    const bool ok = f();
    if (ok) tls::forget_errors();  // what others left in the queue while it waited is not of this handshake
    return ok;
  } catch (...) {
    tls::Stream::of(ssl)->note_cancelled();
    return false;
  }
}

int on_client_hello(SSL* ssl, int* alert, void*) {
  SslConnection* c = SslConnection::of(ssl);
  if (c == nullptr) return SSL_CLIENT_HELLO_ERROR;
  const bool go_on = guarded(ssl, [&] {
    const SslHooks& hooks = c->conf().hooks;
    if (hooks.client_hello != nullptr && !hooks.client_hello(*c, *alert)) return false;
    const auto name = tls::server_name(ssl, *alert);
    return name && c->choose_server(*name, *alert);
  });
  return go_on ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_ERROR;
}

// Called behind the hello's callback; the name was dealt with there.
int on_server_name(SSL* ssl, int* alert, void*) {
  SslConnection* c = SslConnection::of(ssl);
  if (c == nullptr) return SSL_TLSEXT_ERR_NOACK;
  if (c->rejected) {
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  return SSL_TLSEXT_ERR_OK;
}

int on_protocols(SSL* ssl, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                 unsigned in_size, void*) {
  static constexpr unsigned char kAll[] = "\x02h2\x08http/1.1\x08http/1.0\x08http/0.9";
  constexpr unsigned kH2 = 3;
  const SslConnection* c = SslConnection::of(ssl);
  const bool h2 = c != nullptr && (c->conf().offers_http2 || c->connection.address->http2);
  const unsigned char* offer = h2 ? kAll : kAll + kH2;
  const unsigned size = sizeof kAll - 1 - (h2 ? 0 : kH2);
  if (SSL_select_next_proto(const_cast<unsigned char**>(out), out_size, offer, size, in, in_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  return SSL_TLSEXT_ERR_OK;
}

bool use_named_certificates(SslConnection& c, const SslServer& settings) {
  HandshakeRequest request(c);
  for (const auto& [certificate, key] : settings.named) {
    // A relative name is below the folder of the main configuration file.
    const std::string certificate_name = settings.full_name(certificate.evaluate(*request));
    const std::string key_name = settings.full_name(key.evaluate(*request));
    tls::ObjectCache no_cache(0, 0, 0);
    tls::ObjectCache& cache = settings.runtime_objects != nullptr ? *settings.runtime_objects : no_cache;
    static const tls::Passwords kNone;
    const tls::Passwords* passwords =
        settings.passwords->list != nullptr ? settings.passwords->list.get() : &kNone;
    const Status used = tls::use_certificate(c.ssl(), cache, certificate_name, key_name, passwords);
    if (!used) {
      log::error(c.connection.logger, "{}", used.error().text);
      return false;
    }
  }
  return true;
}

int on_certificate(SSL* ssl, void* data) {
  SslConnection* c = SslConnection::of(ssl);
  if (c == nullptr) return 0;
  const auto& settings = *static_cast<const SslServer*>(data);
  return guarded(ssl, [&] {
    if (!settings.named.empty() && !use_named_certificates(*c, settings)) return false;
    return settings.hooks.certificate == nullptr || settings.hooks.certificate(*c);
  });
}

}  // namespace

void install_callbacks(SSL_CTX* context, SslServer& server) {
  SSL_CTX_set_client_hello_cb(context, on_client_hello, nullptr);
  SSL_CTX_set_tlsext_servername_callback(context, on_server_name);
  SSL_CTX_set_alpn_select_cb(context, on_protocols, nullptr);
  SSL_CTX_set_cert_cb(context, on_certificate, &server);
}

// ---- requests on the connection

int check_client(Request& r) {
  const Connection& carrier = *r.connection.carrier;
  if (!carrier.is_tls) return 0;
  struct Doing {
    Connection& connection;
    const char* before = std::exchange(connection.doing, " while reading client request headers");
    ~Doing() { connection.doing = before; }
  } const doing{r.connection};
  if (carrier.ssl == nullptr) {
    log::info(r.logger, "client sent plain HTTP request to HTTPS port");
    return 497;
  }
  const SslServer& settings = r.sets.get<SslServer>();
  const VerifyClient verify = settings.verify;
  if (verify == VerifyClient::off) return 0;
  SSL* const ssl = carrier.ssl->ssl();
  auto refuse = [&](int status) {
    tls::SessionCache::forget(ssl);
    return status;
  };
  const long result = SSL_get_verify_result(ssl);
  if (result != X509_V_OK && !(verify == VerifyClient::optional_no_ca && unknown_issuer(result))) {
    log::info(r.logger, "client SSL certificate verify error: ({}:{})", result,
              X509_verify_cert_error_string(result));
    return refuse(495);
  }
  if (verify == VerifyClient::on && SSL_get0_peer_certificate(ssl) == nullptr) {
    log::info(r.logger, "client sent no required SSL certificate");
    return refuse(496);
  }
  if (!carrier.ssl->ocsp_failure.empty()) {
    log::info(r.logger, "client SSL certificate verify error: {}", carrier.ssl->ocsp_failure);
    return refuse(495);
  }
  return 0;
}

bool name_allowed(Request& r, const Server& server, std::string_view host) {
  const SslConnection* ssl = r.connection.carrier->ssl.get();
  if (ssl == nullptr || ssl->server_name.empty() || ssl->server_name == host) return true;
  if (ssl_conf(server).verify == VerifyClient::off) return true;
  log::info(r.logger,
            "client attempted to request the server name different from the one that was negotiated while "
            "reading client request headers");
  return false;
}

}  // namespace mp::http
