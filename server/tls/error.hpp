// What OpenSSL says when something fails: its queue of errors as text, and how loud a failed connection is
// logged.
#pragma once

#include <string>
#include <string_view>

#include "base/log.hpp"

namespace mp::tls {

// `text (SSL: error:... error:...)`; takes everything out of the queue. `text` alone when the queue is empty.
std::string with_errors(std::string_view text);

// Empties the queue. What is left there by somebody who did not look would be taken for the next call's
// failure.
void forget_errors();

// Logs `text` with what is queued.
void log_errors(log::Level level, const log::Logger& logger, std::string_view text, int errnum = 0);

// The level for a failed call on a connection: `usual` when the peer is to blame (a broken handshake, a
// reset), crit for what should not happen. `ssl_error` is SSL_get_error()'s answer. Looks at the queue, which
// stays.
log::Level level_of_failure(int ssl_error, int errnum, log::Level usual);

}  // namespace mp::tls
