#include "tls/client_sessions.hpp"

namespace mp::tls {

SSL_SESSION* ClientSessions::find(const std::string& key) {
  const auto it = known_.find(key);
  if (it == known_.end()) return nullptr;
  recent_.splice(recent_.begin(), recent_, it->second);
  return it->second->session.get();
}

void ClientSessions::keep(const std::string& key, SessionPtr session) {
  forget(key);
  if (known_.size() >= most_) forget(recent_.back().key);
  recent_.push_front({key, std::move(session)});
  known_.emplace(recent_.front().key, recent_.begin());
}

void ClientSessions::forget(const std::string& key) {
  const auto it = known_.find(key);
  if (it == known_.end()) return;
  const auto place = it->second;
  known_.erase(it);
  recent_.erase(place);
}

void report_sessions(SSL_CTX* context) {
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, [](SSL* ssl, SSL_SESSION* session) -> int {
    Stream* stream = Stream::of(ssl);
    if (stream != nullptr && stream->owner != nullptr) static_cast<Client*>(stream->owner)->granted(session);
    return 0;
  });
}

}  // namespace mp::tls
