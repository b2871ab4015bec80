// SslConnection: what TLS is to a client's connection: its handshake, the server chosen by name, and the
// client's certificate. Owned by the connection that has the descriptor.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "http/location.hpp"
#include "tls/stream.hpp"

namespace mp::http {

struct AddressConf;
class Connection;
class Request;
struct SslServer;

class SslConnection final : public tls::Owner {
 public:
  explicit SslConnection(Connection& connection);
  ~SslConnection();

  // The handshake on the connection's socket. False: it failed, which was logged, or the client was too slow.
  // Parks; throws Cancelled.
  bool handshake(net::Msec deadline);
  // After a failed handshake: the client speaks no TLS, and its request tells so (check_client()).
  bool speaks_plain() const { return stream_ != nullptr && !stream_->plain().empty(); }
  // What ALPN chose: "h2", "http/1.1", or nothing.
  std::string_view protocol() const { return stream_->protocol(); }

  Connection& connection;
  // The server whose rules hold: chosen by name in the client's hello, the address's default one before.
  const Server* server;
  std::string server_name;  // by which it was chosen; empty: it was not
  bool name_seen = false;   // the choice was made
  bool rejected = false;
  std::string ocsp_failure;  // why the client's certificate is not good; empty: nothing is known against it
  std::shared_ptr<void> script_data;  // what scripts of the handshake leave for those of its requests

  tls::Stream& stream() const { return *stream_; }
  SSL* ssl() const { return stream_->ssl(); }
  const SslServer& conf() const;

  // That of a handshake.
  static SslConnection* of(const SSL* ssl);

  // Chooses the server for the name of the client's hello; false with an alert to send: none may answer.
  bool choose_server(std::string_view name, int& alert);

 private:
  void log_failure(tls::Stream::Outcome outcome);
  void check_status();
  std::string ask_status(X509* certificate, X509* issuer, STACK_OF(X509) * chain);

  tls::Stream* stream_ = nullptr;  // owned by the socket
};

// A request of a handshake, for what is evaluated or run then: it has the connection and the chosen server's
// settings, and no answer.
class HandshakeRequest {
 public:
  explicit HandshakeRequest(SslConnection& ssl);
  ~HandshakeRequest();
  HandshakeRequest(const HandshakeRequest&) = delete;
  HandshakeRequest& operator=(const HandshakeRequest&) = delete;
  Request& operator*() const { return *request_; }

 private:
  std::unique_ptr<Request> request_;
  void* before_;
};

// The callbacks of a server's SSL_CTX.
void install_callbacks(SSL_CTX* context, SslServer& server);

// 0, or the status with which a request must be refused: plain HTTP where TLS is spoken, a client's
// certificate that is missing or not good. Logs why.
int check_client(Request& request);

// True when `host` of a request on this connection may be served by `server`, considering for which name the
// client's certificate was asked.
bool name_allowed(Request& request, const Server& server, std::string_view host);

}  // namespace mp::http
