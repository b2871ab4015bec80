#include "tls/error.hpp"

#include <algorithm>
#include <iterator>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "net/io_error.hpp"

namespace mp::tls {
namespace {

// Reasons for which the peer is to blame: they say nothing about the health of this server.
constexpr int kPeerReasons[] = {SSL_R_APPLICATION_DATA_AFTER_CLOSE_NOTIFY,
                                SSL_R_BAD_CHANGE_CIPHER_SPEC,
                                SSL_R_BAD_CIPHER,
                                SSL_R_BAD_DIGEST_LENGTH,
                                SSL_R_BAD_ECPOINT,
                                SSL_R_BAD_EXTENSION,
                                SSL_R_BAD_KEY_SHARE,
                                SSL_R_BAD_KEY_UPDATE,
                                SSL_R_BAD_LEGACY_VERSION,
                                SSL_R_BAD_LENGTH,
                                SSL_R_BAD_PACKET_LENGTH,
                                SSL_R_BAD_RECORD_TYPE,
                                SSL_R_BLOCK_CIPHER_PAD_IS_WRONG,
                                SSL_R_CALLBACK_FAILED,
                                SSL_R_CCS_RECEIVED_EARLY,
                                SSL_R_CERT_CB_ERROR,
                                SSL_R_CLIENTHELLO_TLSEXT,
                                SSL_R_DATA_BETWEEN_CCS_AND_FINISHED,
                                SSL_R_DATA_LENGTH_TOO_LONG,
                                SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC,
                                SSL_R_DIGEST_CHECK_FAILED,
                                SSL_R_ENCRYPTED_LENGTH_TOO_LONG,
                                SSL_R_ERROR_IN_RECEIVED_CIPHER_LIST,
                                SSL_R_EXCESSIVE_MESSAGE_SIZE,
                                SSL_R_GOT_A_FIN_BEFORE_A_CCS,
                                SSL_R_HTTPS_PROXY_REQUEST,
                                SSL_R_HTTP_REQUEST,
                                SSL_R_INAPPROPRIATE_FALLBACK,
                                SSL_R_INVALID_ALERT,
                                SSL_R_LENGTH_MISMATCH,
                                SSL_R_LENGTH_TOO_SHORT,
                                SSL_R_MISSING_SIGALGS_EXTENSION,
                                SSL_R_MIXED_HANDSHAKE_AND_NON_HANDSHAKE_DATA,
                                SSL_R_NO_APPLICATION_PROTOCOL,
                                SSL_R_NO_CIPHERS_SPECIFIED,
                                SSL_R_NO_COMPRESSION_SPECIFIED,
                                SSL_R_NO_RENEGOTIATION,
                                SSL_R_NO_SHARED_CIPHER,
                                SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS,
                                SSL_R_NO_SUITABLE_KEY_SHARE,
                                SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM,
                                SSL_R_PACKET_LENGTH_TOO_LONG,
                                SSL_R_PARSE_TLSEXT,
                                SSL_R_RECORD_LENGTH_MISMATCH,
                                SSL_R_RECORD_TOO_SMALL,
                                SSL_R_RENEGOTIATE_EXT_TOO_LONG,
                                SSL_R_RENEGOTIATION_ENCODING_ERR,
                                SSL_R_RENEGOTIATION_MISMATCH,
                                SSL_R_SCSV_RECEIVED_WHEN_RENEGOTIATING,
                                SSL_R_SSL3_SESSION_ID_TOO_LONG,
                                SSL_R_TOO_MANY_WARN_ALERTS,
                                SSL_R_UNEXPECTED_MESSAGE,
                                SSL_R_UNEXPECTED_RECORD,
                                SSL_R_UNKNOWN_ALERT_TYPE,
                                SSL_R_UNKNOWN_PROTOCOL,
                                SSL_R_UNSAFE_LEGACY_RENEGOTIATION_DISABLED,
                                SSL_R_UNSUPPORTED_PROTOCOL,
                                SSL_R_VERSION_TOO_LOW,
                                SSL_R_WRONG_VERSION_NUMBER};

bool peer_to_blame(int reason) {
  if (reason >= SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + 255) return true;  // its alerts
  return std::find(std::begin(kPeerReasons), std::end(kPeerReasons), reason) != std::end(kPeerReasons);
}

}  // namespace

std::string with_errors(std::string_view text) {
  std::string out(text);
  if (ERR_peek_error() == 0) return out;
  out += " (SSL:";
  const char* data = nullptr;
  int flags = 0;
  while (const unsigned long code = ERR_get_error_all(nullptr, nullptr, nullptr, &data, &flags)) {
    char line[256];
    ERR_error_string_n(code, line, sizeof line);
    out.append(" ").append(line);
    if ((flags & ERR_TXT_STRING) && data != nullptr && *data != '\0') out.append(":").append(data);
  }
  out += ')';
  return out;
}

void forget_errors() {
  ERR_clear_error();
}

void log_errors(log::Level level, const log::Logger& logger, std::string_view text, int errnum) {
  const std::string whole = with_errors(text);
  if (errnum != 0) {
    log::write(level, logger, log::Errno{errnum}, "{}", whole);
  } else {
    log::write_text(level, logger, whole);
  }
}

log::Level level_of_failure(int ssl_error, int errnum, log::Level usual) {
  if (ssl_error == SSL_ERROR_SYSCALL && net::network_to_blame(errnum)) return usual;
  if (ssl_error == SSL_ERROR_SSL && peer_to_blame(ERR_GET_REASON(ERR_peek_last_error()))) return usual;
  return log::Level::crit;
}

}  // namespace mp::tls
