#include "http/ssl_variables.hpp"

#include <string>

#include "base/clock.hpp"
#include "base/escape.hpp"
#include "base/numbers.hpp"
#include "http/request.hpp"
#include "http/ssl_connection.hpp"
#include "http/variables.hpp"
#include "tls/describe.hpp"

namespace mp::http {
namespace {

SslConnection* connection_of(Request& r) {
  return r.connection.carrier->ssl.get();
}

Value text_value(Request& r, std::string_view text) {
  return text.empty() ? Value::none() : Value::of(r.arena.copy(text));
}

// Of the connection.
template <auto Describe>
Value of_ssl(Request& r, const Variable&) {
  SslConnection* c = connection_of(r);
  return c != nullptr ? text_value(r, Describe(c->ssl())) : Value::none();
}

// Of the client's certificate.
template <auto Describe>
Value of_certificate(Request& r, const Variable&) {
  SslConnection* c = connection_of(r);
  X509* certificate = c != nullptr ? SSL_get0_peer_certificate(c->ssl()) : nullptr;
  return certificate != nullptr ? text_value(r, Describe(certificate)) : Value::none();
}

std::string version(SSL* ssl) {
  return SSL_get_version(ssl);
}
std::string cipher(SSL* ssl) {
  return SSL_get_cipher_name(ssl);
}
std::string reused(SSL* ssl) {
  return SSL_session_reused(ssl) != 0 ? "r" : ".";
}
std::string server_name(SSL* ssl) {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  return name != nullptr ? name : "";
}
std::string alpn(SSL* ssl) {
  return std::string(tls::Stream::of(ssl)->protocol());
}
std::string early_data(SSL* ssl) {
  return SSL_is_init_finished(ssl) == 0 ? "1" : "";
}

// In one header field: each line after the first begins with a tab.
std::string folded_pem(X509* certificate) {
  std::string text = tls::pem(certificate);
  if (!text.empty()) text.pop_back();
  std::string out;
  for (const char c : text) {
    out += c;
    if (c == '\n') out += '\t';
  }
  return out;
}

Value escaped_certificate(Request& r, const Variable& v) {
  const Value raw = of_certificate<tls::pem>(r, v);
  return raw.found ? Value::of(escape_uri(r.arena, raw.text, UriEscape::uri_component)) : raw;
}

std::string days_left(X509* certificate) {
  constexpr std::int64_t kDay = 86400;
  const auto end = tls::time_of(X509_get0_notAfter(certificate));
  if (!end) return {};
  const std::int64_t left = *end - clock().seconds();
  return std::to_string(left < kDay ? 0 : left / kDay);
}

Value client_verify(Request& r, const Variable&) {
  SslConnection* c = connection_of(r);
  if (c == nullptr) return Value::none();
  if (SSL_get0_peer_certificate(c->ssl()) == nullptr) return Value::of("NONE");
  const long result = SSL_get_verify_result(c->ssl());
  if (result != X509_V_OK) {
    return text_value(r, std::string("FAILED:") + X509_verify_cert_error_string(result));
  }
  return c->ocsp_failure.empty() ? Value::of("SUCCESS") : text_value(r, "FAILED:" + c->ocsp_failure);
}

Value nothing(Request&, const Variable&) {
  return Value::none();
}

constexpr Variable kVariables[] = {
    {.name = "ssl_protocol", .get = of_ssl<version>, .changeable = true},
    {.name = "ssl_cipher", .get = of_ssl<cipher>, .changeable = true},
    {.name = "ssl_ciphers", .get = of_ssl<tls::ciphers_of_client>, .changeable = true},
    {.name = "ssl_curve", .get = of_ssl<tls::curve>, .changeable = true},
    {.name = "ssl_curves", .get = of_ssl<tls::curves_of_client>, .changeable = true},
    // OpenSSL 3.0 does not tell the signature algorithm of a side by its name.
    {.name = "ssl_sigalg", .get = nothing, .changeable = true},
    {.name = "ssl_sigalgs", .get = of_ssl<tls::signature_algorithms_of_client>, .changeable = true},
    {.name = "ssl_session_id", .get = of_ssl<tls::session_id>, .changeable = true},
    {.name = "ssl_session_reused", .get = of_ssl<reused>, .changeable = true},
    {.name = "ssl_early_data", .get = of_ssl<early_data>, .changeable = true, .cacheable = false},
    {.name = "ssl_server_name", .get = of_ssl<server_name>, .changeable = true},
    {.name = "ssl_alpn_protocol", .get = of_ssl<alpn>, .changeable = true},
    // Encrypted hellos need a later OpenSSL.
    {.name = "ssl_ech_status", .get = nothing, .changeable = true},
    {.name = "ssl_ech_outer_server_name", .get = nothing, .changeable = true},
    {.name = "ssl_client_cert", .get = of_certificate<folded_pem>, .changeable = true},
    {.name = "ssl_client_raw_cert", .get = of_certificate<tls::pem>, .changeable = true},
    {.name = "ssl_client_escaped_cert", .get = escaped_certificate, .changeable = true},
    {.name = "ssl_client_s_dn", .get = of_certificate<tls::subject>, .changeable = true},
    {.name = "ssl_client_i_dn", .get = of_certificate<tls::issuer>, .changeable = true},
    {.name = "ssl_client_s_dn_legacy", .get = of_certificate<tls::subject_legacy>, .changeable = true},
    {.name = "ssl_client_i_dn_legacy", .get = of_certificate<tls::issuer_legacy>, .changeable = true},
    {.name = "ssl_client_serial", .get = of_certificate<tls::serial>, .changeable = true},
    {.name = "ssl_client_fingerprint", .get = of_certificate<tls::fingerprint>, .changeable = true},
    {.name = "ssl_client_verify", .get = client_verify, .changeable = true},
    {.name = "ssl_client_v_start", .get = of_certificate<tls::not_before>, .changeable = true},
    {.name = "ssl_client_v_end", .get = of_certificate<tls::not_after>, .changeable = true},
    {.name = "ssl_client_v_remain", .get = of_certificate<days_left>, .changeable = true},
    {.name = "ssl_client_sigalg", .get = nothing, .changeable = true},
};

}  // namespace

void define_ssl_variables(VariableTable& table) {
  table.define(kVariables);
}

}  // namespace mp::http
