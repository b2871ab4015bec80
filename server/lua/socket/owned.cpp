#include "lua/socket/owned.hpp"

namespace mp::lua {

// The sockets that a request has open, and those that have outlived its subrequests.
struct SocketsOfRequest {
  static constexpr bool kKeepOnRedirect = true;
  SocketsOfRequest() = default;
  SocketsOfRequest(const SocketsOfRequest&) = delete;
  SocketsOfRequest& operator=(const SocketsOfRequest&) = delete;
  ~SocketsOfRequest() {
    while (first != nullptr) {
      OwnedSocket& socket = *first;
      socket.close();
      socket.detach();
      if (main != nullptr) socket.attach(*main);
      socket.ended_ = true;
      if (main == nullptr) socket.let_go();
    }
  }
  OwnedSocket* first = nullptr;
  unsigned count = 0;             // of all that were here
  http::Request* main = nullptr;  // of a subrequest
};

void OwnedSocket::take_over(http::Request& owner) {
  detach();
  request = &owner;
  auto& sockets = owner.ctx<SocketsOfRequest>();
  if (owner.is_sub()) sockets.main = owner.main;
  next_ = sockets.first;
  if (next_ != nullptr) next_->link_in_ = &next_;
  link_in_ = &sockets.first;
  sockets.first = this;
  ++sockets.count;
}

unsigned OwnedSocket::count_of(http::Request& owner) {
  return owner.ctx<SocketsOfRequest>().count;
}

void OwnedSocket::detach() {
  if (request == nullptr) return;
  *link_in_ = next_;
  if (next_ != nullptr) next_->link_in_ = link_in_;
  next_ = nullptr;
  link_in_ = nullptr;
  request = nullptr;
}

}  // namespace mp::lua
