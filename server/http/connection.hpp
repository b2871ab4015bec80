// Connection: what a request knows of the client's connection, whatever the protocol. Owned by the protocol
// (proto/h1, proto/h2); outlives its requests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/log.hpp"
#include "net/address.hpp"
#include "net/socket.hpp"

namespace mp::http {

struct AddressConf;  // the servers that listen on one address: server_select.hpp
struct ProxyProtocol;

class Connection : public log::Subject {
 public:
  virtual ~Connection() = default;

  void describe(std::string& out) const override;
  std::uint64_t connection_id() const override { return number; }

  net::Socket socket;
  std::uint64_t number = 0;            // $connection, unique in this worker's life
  std::uint64_t requests = 0;          // $connection_requests
  std::uint64_t started_msec = 0;      // monotonic
  const AddressConf* address = nullptr;
  net::Address client;                 // the peer, as accept() or realip says
  net::Address original_client;        // before realip changed it
  const ProxyProtocol* proxy_protocol = nullptr;
  const net::Address& local();         // the address the client connected to, asked for once
  bool is_tls = false;
  bool is_http2 = false;
  const char* doing = "";              // " while reading client request line" etc, for the log
  log::Logger logger;                  // error_log of the default server until a request picked another

 private:
  net::Address local_;
  bool local_known_ = false;
};

}  // namespace mp::http
