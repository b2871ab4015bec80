// The *_by_lua hooks of TLS handshakes, with clients and with upstream servers.
#pragma once

#include <string_view>

#include <openssl/ssl.h>

#include "conf/context.hpp"

namespace mp::http {
class Request;
}

namespace mp::lua {

// What the API finds out about the handshake that a hook takes part in: data of its request.
struct HandshakeData {
  SSL* client = nullptr;    // with the client
  SSL* upstream = nullptr;  // with an upstream server
  bool in_hello = false;
  SSL_SESSION* session = nullptr;  // to be stored, or the one a script has found: then it is the script's
  std::string_view session_id;
  X509_STORE_CTX* verification = nullptr;
};

// Whether any handshake of this process had tables (ngx.ctx): 0 or 1.
extern int handshakes_have_tables;
// The slot of the tables (ngx.ctx) of the handshake that the request's connection began with; 0: none.
int handshake_slot(http::Request& request);

// For the configuration: ties the hooks of servers and locations to the handshakes that run them.
Status set_handshake_hooks(conf::Context& ctx);
Status set_proxy_hooks(conf::Context& ctx);

}  // namespace mp::lua
