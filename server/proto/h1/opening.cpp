// What comes before the first request of a connection: a PROXY protocol header, the TLS handshake, and the
// decision between HTTP/1 and HTTP/2.
#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "http/proxy_protocol.hpp"
#include "http/ssl_connection.hpp"
#include "proto/h1/connection.hpp"
#include "proto/h2/module.hpp"

namespace mp::proto {

// ---- PROXY protocol

bool H1Connection::read_proxy_header() {
  doing = " while reading PROXY protocol";
  const std::uint64_t deadline =
      fiber::now() + static_cast<std::uint64_t>(settings().client_header_timeout.get());
  auto header = std::make_shared<http::ProxyHeader>();
  // What follows may be the client's hello, which only TLS may take from the descriptor.
  const bool peek = is_tls;
  for (;;) {
    const http::ProxyParse parse = http::parse_proxy_header(input.unread(), *header);
    if (parse.result == http::ProxyParse::Result::error) {
      log::error(logger, "{}", parse.error);
      return false;
    }
    if (parse.result == http::ProxyParse::Result::complete) {
      header->keep();
      proxy_protocol = std::move(header);
      input.consume(parse.consumed);
      if (peek) {
        input.release();
        take_peeked(parse.consumed);
      }
      return true;
    }
    if (peek) input.consume(input.unread().size());
    input.reserve(http::kProxyHeaderMax);
    const net::Io io = peek ? peek_more(input.room().first(http::kProxyHeaderMax), deadline)
                            : socket.read(input.room(), deadline);
    if (!io.ok()) {
      if (io.kind == net::Io::Kind::timeout) log::info(logger, log::Errno{ETIMEDOUT}, "client timed out");
      return false;
    }
    input.filled(io.bytes);
  }
}

// Waits for more than the last peek saw, and looks at all of it.
net::Io H1Connection::peek_more(std::span<char> into, std::uint64_t deadline) {
  for (;;) {
    if (!socket.wait_readable(deadline)) return net::Io::timeout();
    const ssize_t n = ::recv(socket.fd(), into.data(), into.size(), MSG_PEEK);
    if (n > 0 && static_cast<std::size_t>(n) > peeked_) {
      peeked_ = static_cast<std::uint16_t>(n);
      return net::Io::moved(peeked_);
    }
    if (n == 0 || (n > 0 && socket.hangup)) return net::Io::eof();
    if (n < 0 && errno != EAGAIN && errno != EINTR) return net::Io::failed(errno);
    if (n > 0 || errno == EAGAIN) socket.readable = false;
  }
}

void H1Connection::take_peeked(std::size_t bytes) {
  char scratch[http::kProxyHeaderMax];
  while (bytes > 0) {
    const ssize_t n = ::recv(socket.fd(), scratch, std::min(bytes, sizeof scratch), 0);
    if (n <= 0) return;
    bytes -= static_cast<std::size_t>(n);
  }
}

// ---- TLS

// The handshake, unless the client speaks plain HTTP: that is answered with an explanation. False: the
// connection is over.
bool H1Connection::start_tls() {
  const std::uint64_t deadline =
      fiber::now() + static_cast<std::uint64_t>(settings().client_header_timeout.get());
  if (!socket.wait_readable(deadline)) {
    log::info(logger, log::Errno{ETIMEDOUT}, "client timed out");
    return false;
  }
  ssl = std::make_unique<http::SslConnection>(*this);
  if (ssl->handshake(deadline)) return true;
  if (!ssl->speaks_plain()) return false;
  plain_on_tls_ = true;
  input.unread_more(ssl->stream().plain());
  ssl.reset();
  socket.set_layer(nullptr);
  return true;
}

// ---- HTTP/2

// With TLS, ALPN has decided. Without, the first bytes do, where HTTP/2 is enabled (RFC 9113 3.3); what is
// not the preface is left to HTTP/1.
bool H1Connection::speaks_http2() {
  const bool agreed = ssl != nullptr && ssl->protocol() == "h2";
  if (!agreed && (is_tls || !http2_enabled(*address))) return false;
  const std::uint64_t deadline =
      fiber::now() + static_cast<std::uint64_t>(settings().client_header_timeout.get());
  for (;;) {
    const std::string_view came = input.unread().substr(0, kH2Preface.size());
    if (came.size() == kH2Preface.size() && came == kH2Preface) return true;
    if (!kH2Preface.starts_with(came)) {
      if (!agreed) return false;
      log::info(logger, "invalid connection preface");
      socket.close();
      return false;
    }
    input.reserve(1024);
    const net::Io io = socket.read(input.room(), deadline);
    if (!io.ok()) {
      if (io.kind == net::Io::Kind::timeout) log::info(logger, log::Errno{ETIMEDOUT}, "client timed out");
      if (agreed || io.kind == net::Io::Kind::timeout) socket.close();
      return false;
    }
    input.filled(io.bytes);
  }
}

void H1Connection::start_http2() {
  std::string ahead(input.unread());
  input.consume(ahead.size());
  input.release();
  http2_->start(std::move(ahead));
}

}  // namespace mp::proto
