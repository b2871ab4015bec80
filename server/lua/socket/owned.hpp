// OwnedSocket: a socket that works for a request and is closed at its end, though scripts may hold it longer.
// No other request can use it, not even then.
#pragma once

#include "http/request.hpp"

namespace mp::lua {

class OwnedSocket {
 public:
  OwnedSocket() = default;
  OwnedSocket(const OwnedSocket&) = delete;
  OwnedSocket& operator=(const OwnedSocket&) = delete;
  virtual ~OwnedSocket() { detach(); }

  // Makes it the socket of `owner`; it must be able to connect for it.
  void attach(http::Request& owner) {
    if (request != &owner) take_over(owner);
  }
  void detach();
  virtual void close() = 0;

  // How many sockets have worked for it so far.
  static unsigned count_of(http::Request& owner);

  bool works_for(const http::Request& r) const { return request == &r && !ended_; }
  bool can_connect_for(const http::Request& r) const {
    return !ended_ && (request == nullptr || request == &r);
  }
  // It was a subrequest's that has ended, and the client's request goes on.
  bool outlived() const { return ended_ && request != nullptr; }

  // Which one it works for; null: none yet, or that has ended. The client's request when it has outlived a
  // subrequest.
  http::Request* request = nullptr;

 protected:
  // Its last request has ended, and it is closed: it may destroy itself.
  virtual void let_go() {}
  void mark_ended() { ended_ = true; }

 private:
  friend struct SocketsOfRequest;
  void take_over(http::Request& owner);
  bool ended_ = false;  // the request it has worked for has
  OwnedSocket* next_ = nullptr;
  OwnedSocket** link_in_ = nullptr;
};

}  // namespace mp::lua
