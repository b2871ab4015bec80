// Connection: what a request knows of the client's connection, whatever the protocol. Owned by the protocol
// (proto/h1, proto/h2); outlives its requests.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/log.hpp"
#include "net/address.hpp"
#include "net/socket.hpp"

namespace mp::http {

struct AddressConf;  // the servers that listen on one address: server_select.hpp
struct ProxyHeader;
struct Server;
class SslConnection;

class Connection;

// Who wants to know at once that the client has gone, while nobody reads from its connection. Listeners come
// and go in any order (subrequests that run side by side); the one that came last is told.
class HangupListener {
 public:
  HangupListener() = default;
  HangupListener(const HangupListener&) = delete;
  HangupListener& operator=(const HangupListener&) = delete;
  virtual void client_gone() = 0;  // must not park: it cancels or wakes a fiber

 protected:
  ~HangupListener() { leave(); }
  void listen(Connection& connection);
  void leave();
  HangupListener* outer() const { return outer_; }  // who came before and is still there; or null

 private:
  Connection* connection_ = nullptr;
  HangupListener* outer_ = nullptr;
  HangupListener* inner_ = nullptr;
};

class Connection : public log::Subject {
 public:
  Connection();
  virtual ~Connection();

  void describe(std::string& out) const override;
  std::uint64_t connection_id() const override { return number; }

  class Stream final : public net::Socket {
   public:
    explicit Stream(Connection& owner) : owner_(owner) {}

   private:
    void on_ready() override { owner_.input_ready(); }
    Connection& owner_;
  };

  // The connection that has the descriptor: this one, unless this is a stream of HTTP/2 on that one.
  Connection* carrier = this;
  Stream socket;
  HangupListener* hangup_listener = nullptr;  // the one that came last
  std::uint64_t number = 0;                   // $connection, unique in this worker's life
  std::uint64_t requests = 0;                 // $connection_requests
  std::uint64_t started_msec = 0;             // monotonic
  const AddressConf* address = nullptr;
  net::Address client;                            // the peer, as accept() or realip says
  std::unique_ptr<net::Address> original_client;  // before realip changed it; null: it did not
  std::shared_ptr<ProxyHeader> proxy_protocol;    // what the load balancer in front said; null: nothing
  const net::Address& local();                    // the address the client connected to, asked for once
  bool is_tls = false;                            // the address speaks TLS
  std::unique_ptr<SslConnection> ssl;             // of the carrier; null: no handshake was made
  // Whose rules hold while the host of a request is not known: the server chosen in the TLS handshake, or the
  // default one of the address.
  const Server& first_server() const;
  bool is_http2 = false;
  const char* doing = "";  // " while reading client request line" etc, for the log
  log::Logger logger;      // error_log of the default server until a request picked another

 protected:
  // Bytes came, or the client hung up, while no fiber was waiting to read. Must not park.
  virtual void input_ready() = 0;

 private:
  std::unique_ptr<net::Address> local_;
};

}  // namespace mp::http
