// How the ssl_ settings of a server become its SSL_CTX.
#include "http/ssl_conf.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "conf/configuration.hpp"
#include "conf/process_conf.hpp"
#include "http/core_conf.hpp"
#include "http/ssl_connection.hpp"

namespace mp::http {

using conf::Context;
using Builtin = tls::SessionOptions::Builtin;

void SslServer::inherit(const SslServer& parent) {
  certificates.inherit(parent.certificates);
  keys.inherit(parent.keys);
  ech_files.inherit(parent.ech_files);
  certificate_cache.inherit(parent.certificate_cache);
  passwords.inherit(parent.passwords);
  certificate_compression.inherit(parent.certificate_compression, false);
  dhparam.inherit(parent.dhparam);
  curves.inherit(parent.curves, "auto");
  protocols.inherit(parent.protocols, tls::kTlsV1_2 | tls::kTlsV1_3);
  // Unless old protocols are wanted, which have no other ones: no CBC, and nothing without forward secrecy.
  const bool old = (protocols.get() & ~(tls::kTlsV1_2 | tls::kTlsV1_3)) != 0;
  ciphers.inherit(parent.ciphers, old ? "HIGH:!aNULL:!MD5" : "HIGH:!aNULL:!MD5:!SHA1:!SHA256:!SHA384:!kRSA");
  buffer_size.inherit(parent.buffer_size, 16384);
  verify.inherit(parent.verify, VerifyClient::off);
  verify_depth.inherit(parent.verify_depth, 1);
  client_certificate.inherit(parent.client_certificate);
  trusted_certificate.inherit(parent.trusted_certificate);
  crl.inherit(parent.crl);
  // The list above is in the order of strength; one that somebody wrote is read as nginx reads it.
  prefer_server_ciphers.inherit(parent.prefer_server_ciphers, !ciphers.is_set());
  if (!builtin_cache.is_set()) builtin_size = parent.builtin_size;
  builtin_cache.inherit(parent.builtin_cache, Builtin::none);
  if (session_zone == nullptr) session_zone = parent.session_zone;
  tickets.inherit(parent.tickets, true);
  ticket_keys.inherit(parent.ticket_keys);
  session_timeout.inherit(parent.session_timeout, 300);
  ocsp.inherit(parent.ocsp, OcspCheck::off);
  ocsp_responder.inherit(parent.ocsp_responder);
  ocsp_zone.inherit(parent.ocsp_zone, nullptr);
  stapling.inherit(parent.stapling, false);
  stapling_file.inherit(parent.stapling_file);
  stapling_responder.inherit(parent.stapling_responder);
  stapling_verify.inherit(parent.stapling_verify, false);
  early_data.inherit(parent.early_data, false);
  reject_handshake.inherit(parent.reject_handshake, false);
  conf_commands.inherit(parent.conf_commands);
}

Status SslServer::merge(Context& ctx, const SslServer& parent) {
  inherit(parent);
  folder_ = std::string(ctx.configuration().conf_prefix());
  if (!certificates.get().empty()) {
    if (keys.get().size() < certificates.get().size()) {
      return ctx.error(conf::Position(),
                       fmt::format("no \"ssl_certificate_key\" is defined for certificate \"{}\"",
                                   certificates.get().back()));
    }
  } else if (!reject_handshake) {
    return {};
  }
  // What is wrong with a file is told without a place in the configuration.
  const Status made = make_context(ctx);
  if (made || made.error().code == conf::kReported) return made;
  return ctx.error(conf::Position(), made.error().text);
}

Status SslServer::make_context(Context& ctx) {
  auto made = tls::Context::make(protocols);
  if (!made) return fail(made.error());
  context = std::move(*made);
  SSL_CTX* const raw = context->get();
  install_callbacks(raw, *this);
  TRY(context->set_ciphers(std::string(ciphers.get()), prefer_server_ciphers));
  // Clients without instructions for AES say so by their order.
  if (!ciphers.is_set()) SSL_CTX_set_options(raw, SSL_OP_PRIORITIZE_CHACHA);
  TRY(load_certificates(ctx));
  TRY(set_up_verification(ctx));
  TRY(context->use_dhparam(std::string(dhparam->text)));
  if (!ech_files.get().empty()) {
    ctx.warn(*ctx.sets()[conf::Level::server]->node,
             "\"ssl_ech_file\" is not supported on this platform, ignored");
  }
  TRY(context->set_curves(std::string(curves.get())));
  TRY(set_up_sessions(ctx));
  TRY(set_up_ocsp(ctx));
  if (early_data) SSL_CTX_set_max_early_data(raw, 16384);
  std::vector<tls::Context::Command> commands;
  for (const conf::KeyValue& c : conf_commands.get()) commands.emplace_back(c.key, c.value);
  return context->run_commands(
      commands,
      [](void* data, std::string_view path) {
        return std::string(static_cast<Context*>(data)->full_conf_path(path));
      },
      &ctx);
}

Status SslServer::load_certificates(Context& ctx) {
  const auto& list = certificates.get();
  const bool variables = std::any_of(list.begin(), list.end(), has_variables) ||
                         std::any_of(keys.get().begin(), keys.get().end(), has_variables);
  if (variables) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      auto certificate = Template::compile(ctx, list[i]);
      if (!certificate) return ctx.error(certificate.error().text);
      auto key = Template::compile(ctx, keys.get()[i]);
      if (!key) return ctx.error(key.error().text);
      named.push_back({std::move(*certificate), std::move(*key)});
    }
    if (const auto& size = certificate_cache.get(); size.max > 0) {
      runtime_objects = std::make_unique<tls::ObjectCache>(size.max, size.valid, size.inactive);
    }
    return {};
  }
  auto& objects = ctx.conf<SslMain>().objects;
  for (std::size_t i = 0; i < list.size(); ++i) {
    TRY(context->use_certificate(objects, full_name(list[i]), full_name(keys.get()[i]),
                                 passwords->list.get()));
  }
  if (certificate_compression && !list.empty()) {
    ctx.warn(*ctx.sets()[conf::Level::server]->node,
             "\"ssl_certificate_compression\" is not supported on this platform, ignored");
  }
  return {};
}

Status SslServer::set_up_verification(Context& ctx) {
  auto& objects = ctx.conf<SslMain>().objects;
  const std::string client(client_certificate->text);
  const std::string trusted(trusted_certificate->text);
  const int depth = static_cast<int>(verify_depth);
  if (verify.get() != VerifyClient::off) {
    if (verify.get() != VerifyClient::optional_no_ca && client.empty() && trusted.empty()) {
      return ctx.error("no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client");
    }
    TRY(context->verify_clients(objects, client, depth));
  }
  TRY(context->trust(objects, trusted, depth));
  TRY(context->revoke(objects, std::string(crl->text)));
  if (ocsp.get() != OcspCheck::off && verify.get() == VerifyClient::optional_no_ca) {
    return ctx.error("\"ssl_ocsp\" is incompatible with \"ssl_verify_client optional_no_ca\"");
  }
  return {};
}

Status SslServer::set_up_ocsp(Context& ctx) {
  if (ocsp.get() != OcspCheck::off && !ocsp_responder.get().empty()) {
    const std::string url(ocsp_responder.get());
    auto parsed = tls::OcspResponder::parse(url, true);
    if (!parsed) {
      return ctx.error(
          fmt::format("{} in OCSP responder \"{}\" in \"ssl_ocsp_responder\"", parsed.error().text, url));
    }
    ocsp_fixed_responder = std::move(*parsed);
  }
  if (!stapling) return {};
  if (certificate_compression) {
    return ctx.error("\"ssl_stapling\" is incompatible with \"ssl_certificate_compression\"");
  }
  staples = std::make_unique<tls::Stapling>(stapling_verify);
  staples->logger = ctx.configuration().root().get<conf::ProcessWide>().logger();
  std::vector<std::string> warnings;
  TRY(staples->prepare(*context,
                       {.file = std::string(stapling_file->text),
                        .responder = std::string(stapling_responder.get()),
                        .verify = stapling_verify},
                       warnings));
  for (std::string& text : warnings) ctx.warn(*ctx.sets()[conf::Level::server]->node, std::move(text));
  return {};
}

Status SslServer::set_up_sessions(Context& ctx) {
  // A session may be resumed where the same certificates are shown and the same ones are asked for.
  std::string identity = "HTTP";
  auto add = [&identity](std::string_view text) { identity.append("\n").append(text); };
  for (const tls::X509Ptr& certificate : context->certificates()) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    X509_digest(certificate.get(), EVP_sha256(), digest, &size);
    add({reinterpret_cast<const char*>(digest), size});
  }
  if (context->certificates().empty()) {
    for (const std::string_view name : certificates.get()) add(name);
  }
  if (verify.get() != VerifyClient::off) {
    add(fmt::format("verify {} {}", static_cast<int>(verify.get()), verify_depth.get()));
    add(client_certificate->text);
    add(trusted_certificate->text);
    add(crl->text);
  }
  TRY(context->set_session_identity(identity));

  std::vector<tls::TicketKey> ticket_key_list;
  for (const std::string_view path : ticket_keys.get()) {
    auto key = tls::SessionCache::read_key(std::string(ctx.full_conf_path(path)));
    if (!key) return ctx.error(key.error().text);
    ticket_key_list.push_back(*key);
  }
  sessions = std::make_unique<tls::SessionCache>(session_zone, std::move(ticket_key_list));
  tls::SessionOptions options;
  options.builtin = builtin_cache;
  options.builtin_size = builtin_size;
  options.timeout = static_cast<long>(session_timeout.get());
  options.tickets = tickets;
  sessions->install(context->get(), options);
  return {};
}

}  // namespace mp::http
