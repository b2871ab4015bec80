// What a handshake has agreed on and what is in the peer's certificate, as texts. Copies; empty when there is
// none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tls/handles.hpp"

namespace mp::tls {

std::string ciphers_of_client(SSL* ssl);  // "NAME:NAME:0x1301"
std::string curve(SSL* ssl);
std::string curves_of_client(SSL* ssl);
std::string signature_algorithms_of_client(SSL* ssl);
std::string session_id(SSL* ssl);  // hexadecimal

std::string pem(X509* certificate);
std::string subject(X509* certificate);  // RFC 2253
std::string issuer(X509* certificate);
std::string subject_legacy(X509* certificate);  // "/C=../CN=.."
std::string issuer_legacy(X509* certificate);
std::string serial(X509* certificate);
std::string fingerprint(X509* certificate);  // SHA-1, hexadecimal
std::string not_before(X509* certificate);
std::string not_after(X509* certificate);
// Unix time.
std::optional<std::int64_t> time_of(const ASN1_TIME* time);

}  // namespace mp::tls
