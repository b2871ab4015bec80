// Which server {} answers: by the address that was connected to, then by host name. Built once from `listen`
// and `server_name`; belongs to the configuration.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "http/location.hpp"
#include "http/regex.hpp"
#include "http/slot_table.hpp"
#include "net/address.hpp"
#include "net/listen_spec.hpp"

namespace mp::http {

class Request;

// Names of one address. Lookup order: exact, "*.x" with the longest suffix, "x.*" with the longest prefix,
// regexes.
class ServerNames {
 public:
  // Error text for a name that another server of this address has: the caller warns and goes on.
  // `conflicting server name "x" on 0.0.0.0:80, ignored`.
  bool add(std::string_view name, Server* server);
  void add_regex(HttpRegex regex, Server* server) { regexes_.push_back({std::move(regex), server}); }

  bool empty() const { return exact_.empty() && suffixes_.empty() && prefixes_.empty() && regexes_.empty(); }
  // Null when no name fits. A regex match puts its captures into `request` when given.
  Server* find(std::string_view host, Request* request) const;

 private:
  struct RegexName {
    HttpRegex regex;
    Server* server;
  };
  SlotTable<Server*> exact_;
  SlotTable<Server*> suffixes_;  // "*.example.com" as ".example.com"; ".example.com" is there and in exact_
  SlotTable<Server*> prefixes_;  // "www.*" as "www."
  std::vector<RegexName> regexes_;
};

// One listening address and the servers on it.
struct AddressConf {
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  // The one that a client has connected to, `local`, through the socket of this one.
  const AddressConf& reached_at(const net::Address& local) const;

  std::size_t spec = 0;  // index of its ListenSpec; kNone: the socket is that of a wildcard address
  net::Address address;
  std::string text;  // "127.0.0.1:80"
  bool tls = false;
  bool http2 = false;
  bool proxy_protocol = false;
  bool default_given = false;
  bool options_given = false;  // of the socket
  Server* default_server = nullptr;
  std::vector<Server*> servers;
  ServerNames names;
  std::vector<const AddressConf*> covered;  // of a wildcard: addresses of its port that have no socket
};

struct ListenAddresses {
  std::vector<std::unique_ptr<AddressConf>> all;
};

// Puts the server for `host` in force on the request (sets, logger); the default server when none fits. False
// when it may not answer on this connection, because the client has shown its certificate, or none, for
// another name: the request is to be refused with 421.
bool select_server(Request& request, const AddressConf& address, std::string_view host);

}  // namespace mp::http
