// What a client's hello says, as far as servers and scripts ask for it before the handshake goes on.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <openssl/ssl.h>

namespace mp::tls {

// The host name inside of a server_name extension. Nothing, with the alert to send, when it is malformed:
// another number of names than one, another type, a length that is wrong, a NUL, or more than 255 bytes.
std::optional<std::string_view> parse_server_name(std::span<const unsigned char> extension, int& alert);

// That of the hello being handled (in its callback); empty when the client sent none.
std::optional<std::string_view> server_name(SSL* ssl, int& alert);

// The versions of a supported_versions extension, as wire numbers in the client's order; empty when
// malformed.
std::vector<int> parse_versions(std::span<const unsigned char> extension);

// Whether a client that begins with this byte may be speaking TLS.
bool may_be_tls(char first);

// Whether these records of a client, which come during a handshake, are an alert. One that is encrypted is
// known by its length only.
bool may_be_alert(std::string_view records);

}  // namespace mp::tls
