#include "upstream/ssl.hpp"

#include <cerrno>

#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "conf/configuration.hpp"
#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"
#include "net/address.hpp"
#include "tls/error.hpp"
#include "tls/stream.hpp"
#include "upstream/transfer_conf.hpp"

namespace mp::upstream {
namespace {

constexpr conf::Named<std::uint32_t> kProtocols[] = {{"SSLv2", tls::kSslV2},     {"SSLv3", tls::kSslV3},
                                                     {"TLSv1", tls::kTlsV1},     {"TLSv1.1", tls::kTlsV1_1},
                                                     {"TLSv1.2", tls::kTlsV1_2}, {"TLSv1.3", tls::kTlsV1_3}};

// The owner of a link's stream; lives as long as the stream does.
class LinkClient final : public tls::Client {
 public:
  LinkClient(std::shared_ptr<UpstreamSslContext> shared, std::string key)
      : shared_(std::move(shared)), key_(std::move(key)) {}
  void granted(SSL_SESSION* session) override {
    if (keep_sessions) shared_->sessions.keep(key_, tls::share(session));
  }

  bool keep_sessions = false;
  // While the handshake is under way:
  http::Request* request = nullptr;
  const UpstreamSslHooks* hooks = nullptr;

 private:
  std::shared_ptr<UpstreamSslContext> shared_;
  std::string key_;
};

LinkClient* client_of(const SSL* ssl) {
  tls::Stream* stream = tls::Stream::of(ssl);
  return stream != nullptr ? static_cast<LinkClient*>(stream->owner) : nullptr;
}

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

int on_certificate(SSL* ssl, void*) {
  LinkClient* c = client_of(ssl);
  if (c == nullptr || c->hooks == nullptr || c->hooks->certificate == nullptr) return 1;
  return guarded(ssl, [&] { return c->hooks->certificate(*c->request, ssl); });
}

int on_verify(X509_STORE_CTX* store, void*) {
  auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  LinkClient* c = client_of(ssl);
  if (c == nullptr || c->hooks == nullptr || c->hooks->verify == nullptr) return X509_verify_cert(store);
  return guarded(ssl, [&] { return c->hooks->verify(*c->request, ssl, store); });
}

bool is_literal_address(std::string_view name) {
  return name.empty() || name.front() == '[' || net::parse_ip_port(name).has_value();
}

}  // namespace

Status parse_ssl_protocols(conf::Context& ctx, const conf::Node& node,
                           conf::Setting<std::uint64_t>& setting) {
  return parse_bits(ctx, node, setting, kProtocols);
}

// ---- configuration

// Whether something was set here that needs a context of its own.
bool UpstreamSsl::differs() const {
  return protocols.is_set() || ciphers.is_set() || certificate.is_set() || key.is_set() ||
         passwords.is_set() || verify.is_set() || verify_depth.is_set() || trusted_certificate.is_set() ||
         crl.is_set() || session_reuse.is_set() || conf_commands.is_set();
}

Status UpstreamSsl::merge(conf::Context& ctx, const UpstreamSsl& parent, std::string_view prefix, bool used) {
  const bool own = differs();
  const bool own_cache = certificate_cache.is_set();
  session_reuse.inherit(parent.session_reuse, true);
  protocols.inherit(parent.protocols, tls::kTlsV1_2 | tls::kTlsV1_3);
  ciphers.inherit(parent.ciphers, "DEFAULT");
  name.inherit(parent.name);
  server_name.inherit(parent.server_name, false);
  verify.inherit(parent.verify, false);
  verify_depth.inherit(parent.verify_depth, 1);
  trusted_certificate.inherit(parent.trusted_certificate);
  crl.inherit(parent.crl);
  certificate.inherit(parent.certificate);
  key.inherit(parent.key);
  certificate_cache.inherit(parent.certificate_cache);
  passwords.inherit(parent.passwords);
  conf_commands.inherit(parent.conf_commands);
  folder_ = std::string(ctx.configuration().conf_prefix());
  if (own || parent.shared_ == nullptr) {
    shared_ = std::make_shared<UpstreamSslContext>();
    // What is the same everywhere in http {} is made once.
    if (!own) const_cast<UpstreamSsl&>(parent).shared_ = shared_;
  } else {
    shared_ = parent.shared_;
  }
  named_certificate_ =
      certificate.is_set() && !certificate->empty() && !(certificate->constant() && key->constant());
  const auto& size = certificate_cache.get();
  if (!named_certificate_ || size.max == 0) {
    runtime_objects_ = nullptr;
  } else if (own_cache || parent.runtime_objects_ == nullptr) {
    runtime_objects_ = std::make_shared<tls::ObjectCache>(size.max, size.valid, size.inactive);
  } else {
    runtime_objects_ = parent.runtime_objects_;
  }
  if (!used || shared_->context) return {};
  return make_context(ctx, prefix);
}

Status UpstreamSsl::make_context(conf::Context& ctx, std::string_view prefix) {
  auto made = tls::Context::make(static_cast<std::uint32_t>(protocols.get()));
  if (!made) return fail(made.error());
  tls::Context& context = shared_->context.emplace(std::move(*made));
  auto& objects = ctx.conf<http::SslMain>().objects;
  TRY(context.set_ciphers(std::string(ciphers.get()), false));
  if (certificate.is_set() && !certificate->empty()) {
    if (!key.is_set()) {
      return ctx.error(fmt::format("no \"{}_ssl_certificate_key\" is defined for certificate \"{}\"", prefix,
                                   certificate->source()));
    }
    if (!named_certificate_) {
      TRY(context.use_certificate(objects, http::ssl_file_name(folder_, certificate->source()),
                                  http::ssl_file_name(folder_, key->source()), passwords->list.get()));
    }
  }
  if (verify) {
    const std::string trusted(trusted_certificate->text);
    if (trusted.empty()) {
      return ctx.error(fmt::format("no {0}_ssl_trusted_certificate for {0}_ssl_verify", prefix));
    }
    TRY(context.trust(objects, trusted, static_cast<int>(verify_depth.get())));
    TRY(context.revoke(objects, std::string(crl->text)));
  }
  tls::report_sessions(context.get());
  SSL_CTX_set_cert_cb(context.get(), on_certificate, nullptr);
  SSL_CTX_set_cert_verify_callback(context.get(), on_verify, nullptr);
  std::vector<tls::Context::Command> commands;
  for (const conf::KeyValue& c : conf_commands.get()) commands.emplace_back(c.key, c.value);
  return context.run_commands(
      commands,
      [](void* data, std::string_view path) {
        return std::string(static_cast<conf::Context*>(data)->full_conf_path(path));
      },
      &ctx);
}

// ---- handshakes

SSL* UpstreamSsl::of(const Link& link) {
  return static_cast<const tls::Stream*>(link.layer())->ssl();
}

// The name asked for and checked: without a port.
std::string_view UpstreamSsl::peer_name(http::Request& r, std::string_view host) const {
  std::string_view text = name.is_set() ? name->evaluate(r) : host;
  std::size_t from = 0;
  if (text.starts_with('[')) {
    const std::size_t bracket = text.find(']');
    if (bracket != std::string_view::npos) from = bracket;
  }
  return text.substr(0, text.find(':', from));
}

std::string_view UpstreamSsl::identity(http::Request& r, std::string_view host, std::string_view alpn) const {
  const std::string_view peer = server_name || verify ? peer_name(r, host) : std::string_view();
  const std::string_view shown = named_certificate_ ? certificate->evaluate(r) : std::string_view();
  const std::string_view shown_key = named_certificate_ ? key->evaluate(r) : std::string_view();
  const auto* own_rules = hooks.certificate != nullptr || hooks.verify != nullptr
                              ? static_cast<const void*>(this)
                              : static_cast<const void*>(shared_.get());
  const std::string text = fmt::format("tls {} {}{}{}|{}|{}|{}|", own_rules, server_name ? "s" : "",
                                       verify ? "v" : "", peer, shown, shown_key, alpn);
  return r.arena.copy(text);
}

UpstreamSsl::Outcome UpstreamSsl::handshake(http::Request& r, Link& link, std::string_view host,
                                            std::string_view alpn, fiber::Msec deadline) const {
  r.connection.doing = " while SSL handshaking to upstream";
  if (!shared_->context) return Outcome::misconfigured;
  if (link.readable && link.peek().ok()) {
    log::error(r.logger, "upstream sent data before SSL handshake");
    return Outcome::failed;
  }
  auto made = tls::Stream::connect(shared_->context->get());
  if (made == nullptr) {
    tls::log_errors(log::Level::alert, r.logger, "SSL_new() failed");
    return Outcome::misconfigured;
  }
  tls::Stream& stream = *made;
  SSL* const ssl = stream.ssl();
  const std::string session_key =
      link.address().text_with_port() + " " + std::string(identity(r, host, alpn));
  auto client = std::make_shared<LinkClient>(shared_, session_key);
  client->keep_sessions = session_reuse;
  client->request = &r;
  client->hooks = &hooks;
  stream.owner = client.get();
  stream.keep_alive = client;
  stream.logger = r.logger;
  struct Ended {  // later callbacks find no request
    LinkClient& client;
    ~Ended() {
      client.request = nullptr;
      client.hooks = nullptr;
    }
  } const ended{*client};
  link.set_layer(std::move(made));

  const std::string peer(server_name || verify ? peer_name(r, host) : std::string_view());
  if (server_name && !is_literal_address(peer) && SSL_set_tlsext_host_name(ssl, peer.c_str()) == 0) {
    tls::log_errors(log::Level::error, r.logger,
                    fmt::format("SSL_set_tlsext_host_name(\"{}\") failed", peer));
    return Outcome::misconfigured;
  }
  if (named_certificate_) {
    const std::string_view shown = certificate->evaluate(r);
    if (!shown.empty()) {
      static const tls::Passwords kNone;
      tls::ObjectCache no_cache(0, 0, 0);
      const Status used = tls::use_certificate(
          ssl, runtime_objects_ != nullptr ? *runtime_objects_ : no_cache,
          http::ssl_file_name(folder_, shown), http::ssl_file_name(folder_, key->evaluate(r)),
          passwords->list != nullptr ? passwords->list.get() : &kNone);
      if (!used) {
        log::error(r.logger, "{}", used.error().text);
        return Outcome::misconfigured;
      }
    }
  }
  if (!alpn.empty()) {
    SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(alpn.data()),
                        static_cast<unsigned>(alpn.size()));
  }
  if (hooks.verify != nullptr) SSL_set_verify(ssl, SSL_VERIFY_PEER, nullptr);
  if (session_reuse) {
    if (SSL_SESSION* session = shared_->sessions.find(session_key)) SSL_set_session(ssl, session);
  }
  switch (stream.handshake(link, deadline)) {
    case tls::Stream::Outcome::done:
      break;
    case tls::Stream::Outcome::timeout:
      return Outcome::timeout;
    case tls::Stream::Outcome::closed:
      tls::log_errors(log::Level::error, r.logger, "peer closed connection in SSL handshake", stream.error);
      return Outcome::failed;
    case tls::Stream::Outcome::failed:
      shared_->sessions.forget(session_key);
      tls::log_errors(tls::level_of_failure(stream.ssl_error, stream.error, log::Level::error), r.logger,
                      "SSL_do_handshake() failed", stream.error);
      return Outcome::failed;
  }
  if (!verify) return Outcome::done;
  const long result = SSL_get_verify_result(ssl);
  if (result != X509_V_OK) {
    log::error(r.logger, "upstream SSL certificate verify error: ({}:{})", result,
               X509_verify_cert_error_string(result));
    return Outcome::failed;
  }
  X509* const certificate_shown = SSL_get0_peer_certificate(ssl);
  if (certificate_shown == nullptr || peer.empty() ||
      X509_check_host(certificate_shown, peer.data(), peer.size(), 0, nullptr) != 1) {
    log::error(r.logger, "upstream SSL certificate does not match \"{}\"", peer);
    return Outcome::failed;
  }
  return Outcome::done;
}

}  // namespace mp::upstream
