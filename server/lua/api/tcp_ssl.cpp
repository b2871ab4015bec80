// sock:sslhandshake and what belongs to it.
#include <cerrno>
#include <string>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "lua/api/tcp_common.hpp"
#include "lua/ssl/conf.hpp"
#include "tls/error.hpp"
#include "tls/handles.hpp"
#include "tls/stream.hpp"

namespace mp::lua {
namespace {

// What the script asks for.
struct Wanted {
  SSL_SESSION* session = nullptr;
  bool wants_session = true;  // the session is a result
  std::string server_name;
  bool has_name = false;
  bool verify = false;
  bool status_request = false;
};

tls::Stream* stream_of(const TcpSocket& socket) {
  return socket.link != nullptr ? static_cast<tls::Stream*>(socket.link->layer()) : nullptr;
}

// All that decides who was spoken to: two handshakes with different ones never stand for each other.
std::string identity_of(const TcpSocket& socket, const Wanted& wanted, const SSL_CTX* context) {
  std::string shown;
  if (auto* chain = static_cast<STACK_OF(X509)*>(socket.client_chain);
      chain != nullptr && sk_X509_num(chain) > 0) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    X509_digest(sk_X509_value(chain, 0), EVP_sha256(), digest, &size);
    shown.assign(reinterpret_cast<char*>(digest), size);
  }
  return fmt::format("{} {} {} {} ", static_cast<const void*>(context), socket.trusted_store,
                     wanted.verify ? "verified" : "", wanted.server_name) +
         shown;
}

int push_session(lua_State* L, TcpSocket& socket, const Wanted& wanted) {
  if (!wanted.wants_session) {
    lua_pushboolean(L, 1);
    return 1;
  }
  SSL_SESSION* session = SSL_get1_session(stream_of(socket)->ssl());
  if (session == nullptr) {
    lua_pushnil(L);
  } else {
    log::debug(socket.request->logger, "lua ssl save session: {}", fmt::ptr(session));
    if (session == wanted.session) SSL_SESSION_free(session);  // the script's object stands for it already
    lua_pushlightuserdata(L, session);
  }
  return 1;
}

// Another connection to the same peer, for a handshake with other conditions than the one in use has made.
// The one in use goes back to its pool.
Status change_link(TcpSocket& socket, const std::string& identity, fiber::Msec deadline) {
  std::unique_ptr<Link> other;
  if (socket.pool != nullptr) other = socket.pool->take_with(identity);
  const bool found = other != nullptr;
  if (!found) {
    other = std::make_unique<Link>();
    other->host = socket.link->host;
    other->address = socket.link->address;
    const net::Address* from = socket.bind_to ? &*socket.bind_to : nullptr;
    TRY(other->connect(other->address.raw(), other->address.size(), from != nullptr ? from->raw() : nullptr,
                       from != nullptr ? from->size() : 0, deadline));
  }
  std::unique_ptr<Link> before = std::exchange(socket.link, std::move(other));
  if (before->reused > 0) --before->reused;  // it was not used
  if (socket.pool != nullptr) {
    // An idle one that was taken gives its place to the one that goes.
    if (!found) ++socket.pool->connections;
    constexpr fiber::Msec kIdle = 60'000;
    socket.pool->put(std::move(before), kIdle, true);
  }
  return {};
}

const char* set_up(tls::Stream& stream, const TcpSocket& socket, const Wanted& wanted) {
  SSL* ssl = stream.ssl();
  if (wanted.session != nullptr && SSL_set_session(ssl, wanted.session) == 0) return "ssl set session failed";
  if (auto* chain = static_cast<STACK_OF(X509)*>(socket.client_chain); chain != nullptr) {
    if (sk_X509_num(chain) < 1) return "invalid client certificate chain";
    if (SSL_use_certificate(ssl, sk_X509_value(chain, 0)) == 0) return "ssl set client certificate failed";
    for (int i = 1; i < sk_X509_num(chain); ++i) {
      if (SSL_add1_chain_cert(ssl, sk_X509_value(chain, i)) == 0) {
        return "ssl set client intermediate certificate failed";
      }
    }
    if (SSL_use_PrivateKey(ssl, static_cast<EVP_PKEY*>(socket.client_key)) == 0) {
      return "ssl set client private key failed";
    }
  }
  if (wanted.has_name) {
    log::debug(stream.logger, "lua ssl server name: \"{}\"", wanted.server_name);
  }
  if (wanted.has_name && SSL_set_tlsext_host_name(ssl, wanted.server_name.c_str()) == 0) {
    return "SSL_set_tlsext_host_name failed";
  }
  if (socket.trusted_store != nullptr &&
      SSL_set1_verify_cert_store(ssl, static_cast<X509_STORE*>(socket.trusted_store)) == 0) {
    return "SSL_set1_verify_cert_store() failed";
  }
  if (wanted.status_request) SSL_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp);
  return nullptr;
}

// Whether the peer is who it should be; else what the script is told.
std::string check_peer(SSL* ssl, const Wanted& wanted, const Request& r, bool log_errors) {
  if (!wanted.verify) return {};
  const long result = SSL_get_verify_result(ssl);
  if (result != X509_V_OK) {
    const char* text = X509_verify_cert_error_string(result);
    if (log_errors) log::error(r.logger, "lua ssl certificate verify error: ({}: {})", result, text);
    return fmt::format("{}: {}", result, text);
  }
  X509* certificate = SSL_get0_peer_certificate(ssl);
  if (certificate == nullptr ||
      (!wanted.server_name.empty() &&
       X509_check_host(certificate, wanted.server_name.data(), wanted.server_name.size(), 0, nullptr) != 1)) {
    if (log_errors) {
      log::error(r.logger, "lua ssl certificate does not match host \"{}\"", wanted.server_name);
    }
    return "certificate host mismatch";
  }
  return {};
}

// The handshake on the socket's link. An empty text: done.
std::string shake_hands(TcpSocket& socket, Request& r, const Wanted& wanted, SSL_CTX* context,
                        fiber::Msec deadline) {
  auto made = tls::Stream::connect(context);
  if (made == nullptr) {
    ERR_clear_error();
    return "failed to create ssl connection";
  }
  tls::Stream& stream = *made;
  stream.logger = r.logger;
  const char* refused = set_up(stream, socket, wanted);
  socket.link->set_layer(std::move(made));
  if (refused != nullptr) {
    ERR_clear_error();
    stream.abandon();
    return refused;
  }
  const bool log_errors = r.conf<SocketConf>().log_errors;
  switch (stream.handshake(*socket.link, deadline)) {
    case tls::Stream::Outcome::done:
      break;
    case tls::Stream::Outcome::timeout:
      stream.abandon();
      return "timeout";
    case tls::Stream::Outcome::closed:
      tls::log_errors(log::Level::info, r.logger, "peer closed connection in SSL handshake", stream.error);
      return "handshake failed";
    case tls::Stream::Outcome::failed:
      tls::log_errors(tls::level_of_failure(stream.ssl_error, stream.error, log::Level::info), r.logger,
                      "SSL_do_handshake() failed", stream.error);
      return "handshake failed";
  }
  return check_peer(stream.ssl(), wanted, r, log_errors);
}

// Raises no error: it has objects on its stack.
int perform(lua_State* L, TcpSocket& socket, Request& r, const Wanted& wanted) {
  const auto& conf = r.conf<SocketConf>();
  const fiber::Msec timeout = socket.connect_timeout != 0
                                  ? socket.connect_timeout
                                  : static_cast<fiber::Msec>(conf.connect_timeout.get());
  const fiber::Msec deadline = fiber::now() + timeout;
  const InUse connecting(socket.connecting);
  SSL_CTX* context = r.conf<LuaSsl>().context();
  if (context == nullptr) {
    ERR_clear_error();
    return push_failure(L, "failed to create ssl connection");
  }
  const std::string identity = identity_of(socket, wanted, context);
  if (stream_of(socket) != nullptr && socket.link->tls_identity != identity) {
    if (const Status changed = change_link(socket, identity, deadline); !changed) {
      socket.close();
      return push_failure(L, fiber::now() >= deadline ? "timeout" : "handshake failed");
    }
  }
  if (stream_of(socket) != nullptr) {
    if (wanted.session == nullptr) return push_session(L, socket, wanted);
    lua_pushvalue(L, 2);
    return 1;
  }
  std::string failure;
  if (!socket.input.empty() || socket.link->peek().ok()) {
    // They may be an attacker's, who speaks before the encryption begins.
    failure = "unread data before the SSL handshake";
  } else {
    failure = shake_hands(socket, r, wanted, context, deadline);
  }
  if (!failure.empty()) {
    if (socket.link != nullptr && stream_of(socket) != nullptr) stream_of(socket)->abandon();
    socket.close();
    return push_failure(L, failure);
  }
  socket.link->tls_identity = identity;
  return push_session(L, socket, wanted);
}

const char* why_not_usable(const TcpSocket& socket) {
  if (socket.kind != TcpSocket::Kind::upstream) return "not supported for downstream sockets";
  if (socket.link == nullptr || socket.read_closed || socket.write_closed) return "closed";
  return nullptr;
}

}  // namespace

// sslhandshake(sock, session or nil, wants_session, server_name or nil, verify, status_request)
int tcp_sslhandshake(lua_State* L) {
  Request& r = check_request(L, kWaiting);
  TcpSocket& socket = tcp_of(L);
  if (const char* refused = why_not_usable(socket)) return push_failure(L, refused);
  if (!socket.works_for(r)) return push_failure(L, "bad request");
  if (const char* refused = busy(socket)) return push_failure(L, refused);
  const bool has_name = lua_toboolean(L, 4) != 0;
  const std::string_view name = has_name ? text_at(L, 4) : std::string_view();
  Wanted wanted;
  wanted.session = static_cast<SSL_SESSION*>(lua_touserdata(L, 2));
  wanted.wants_session = lua_toboolean(L, 3) != 0;
  wanted.server_name = name;
  wanted.has_name = has_name;
  wanted.verify = lua_toboolean(L, 5) != 0;
  wanted.status_request = lua_toboolean(L, 6) != 0;
  return perform(L, socket, r, wanted);
}

// setclientcert(sock, chain, key): lightuserdata or nil
int tcp_setclientcert(lua_State* L) {
  if (TcpSocket* socket = changeable_tcp(L)) {
    socket->client_chain = lua_touserdata(L, 2);
    socket->client_key = lua_touserdata(L, 3);
  }
  return 0;
}

int tcp_settrustedstore(lua_State* L) {
  const Request& r = check_request(L);
  TcpSocket& socket = tcp_of(L);
  if (const char* refused = why_not_usable(socket)) return push_failure(L, refused);
  if (!socket.works_for(r)) return push_failure(L, "bad request");
  if (stream_of(socket) != nullptr) {
    return push_failure(
        L, "ssl handshake already done; trusted store cannot be changed on an established TLS connection");
  }
  socket.trusted_store = lua_touserdata(L, 2);
  lua_pushboolean(L, 1);
  return 1;
}

// tls_object(sock, what): 1 the SSL, 2 its SSL_CTX, 3 its session (a new reference)
int tcp_tls_object(lua_State* L) {
  check_request(L);
  const TcpSocket& socket = tcp_of(L);
  const auto what = luaL_checkinteger(L, 2);
  if (socket.link == nullptr || (socket.read_closed && socket.write_closed)) return push_failure(L, "closed");
  tls::Stream* stream = stream_of(socket);
  if (stream == nullptr) return push_failure(L, what == 2 ? "no ssl context" : "no ssl connection");
  void* object = stream->ssl();
  if (what == 2) object = stream->session_context;
  if (what == 3) object = SSL_get1_session(stream->ssl());
  if (object == nullptr) return push_failure(L, "no ssl session");
  lua_pushlightuserdata(L, object);
  return 1;
}

// pointer(number): what FFI knows as a pointer, as natives take it
int tcp_pointer(lua_State* L) {
  lua_pushlightuserdata(L, reinterpret_cast<void*>(static_cast<std::uintptr_t>(luaL_checknumber(L, 1))));
  return 1;
}

}  // namespace mp::lua

extern "C" {

void mp_tcp_free_session(void* session) {
  SSL_SESSION_free(static_cast<SSL_SESSION*>(session));
}
}
