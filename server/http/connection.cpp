#include "http/connection.hpp"

#include <sys/socket.h>

#include "http/proxy_protocol.hpp"
#include "http/server_select.hpp"
#include "http/ssl_connection.hpp"

namespace mp::http {

void HangupListener::listen(Connection& connection) {
  connection_ = &connection;
  outer_ = connection.hangup_listener;
  if (outer_ != nullptr) outer_->inner_ = this;
  connection.hangup_listener = this;
}

void HangupListener::leave() {
  if (connection_ == nullptr) return;
  (inner_ != nullptr ? inner_->outer_ : connection_->hangup_listener) = outer_;
  if (outer_ != nullptr) outer_->inner_ = inner_;
  connection_ = nullptr;
  outer_ = inner_ = nullptr;
}

Connection::Connection() : socket(*this) {}
Connection::~Connection() = default;

void Connection::describe(std::string& out) const {
  out.append(doing);
  char text[net::Address::kMaxText];
  out.append(", client: ").append(text, client.print(text));
  if (requests == 0 && address != nullptr) out.append(", server: ").append(address->text);
}

const Server& Connection::first_server() const {
  return carrier->ssl != nullptr ? *carrier->ssl->server : *address->default_server;
}

const net::Address& Connection::local() {
  if (carrier != this) return carrier->local();
  if (local_ == nullptr) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    auto* raw = reinterpret_cast<sockaddr*>(&storage);
    local_ = std::make_unique<net::Address>();
    if (getsockname(socket.fd(), raw, &size) == 0) *local_ = net::Address::from(raw, size);
  }
  return *local_;
}

}  // namespace mp::http
