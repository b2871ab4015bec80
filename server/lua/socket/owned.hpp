// OwnedSocket: a socket that works for a request and is closed at its end, though scripts may hold it longer.
#pragma once

#include "http/request.hpp"

namespace mp::lua {

class OwnedSocket {
 public:
  OwnedSocket() = default;
  OwnedSocket(const OwnedSocket&) = delete;
  OwnedSocket& operator=(const OwnedSocket&) = delete;
  virtual ~OwnedSocket() { detach(); }

  // Makes it the socket of `owner`.
  void attach(http::Request& owner);
  void detach();
  virtual void close() = 0;

  http::Request* request = nullptr;  // which one it works for; null: none yet, or that has ended

 private:
  OwnedSocket* next_ = nullptr;
  OwnedSocket** link_in_ = nullptr;
};

}  // namespace mp::lua
