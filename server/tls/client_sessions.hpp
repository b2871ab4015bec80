// ClientSessions: sessions that this side may resume when it connects again, by whom they were made with. Of
// one worker; the least recently used go when there are many.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "tls/handles.hpp"
#include "tls/stream.hpp"

namespace mp::tls {

class ClientSessions {
 public:
  explicit ClientSessions(std::size_t most = 1024) : most_(most) {}

  SSL_SESSION* find(const std::string& key);  // borrowed; null: none
  void keep(const std::string& key, SessionPtr session);
  void forget(const std::string& key);

 private:
  struct Entry {
    std::string key;
    SessionPtr session;
  };
  std::size_t most_;
  std::list<Entry> recent_;
  std::unordered_map<std::string_view, std::list<Entry>::iterator> known_;
};

// The owner of a client's stream: takes the sessions that the server grants.
class Client : public Owner {
 public:
  virtual ~Client() = default;
  virtual void granted(SSL_SESSION* session) = 0;  // borrowed
};
// Streams of this context report their sessions to their owner, which must be a Client.
void report_sessions(SSL_CTX* context);

}  // namespace mp::tls
