// The request body of an HTTP/1 exchange.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "http/core_conf.hpp"
#include "proto/h1/exchange.hpp"

namespace mp::proto {

void H1Exchange::begin(http::Request& request, const http::BodyFraming& framing, bool expects_continue) {
  request_ = &request;
  written_before_ = connection_.socket.bytes_written;
  body_chunked_ = framing.kind == http::BodyKind::chunked;
  body_left_ = framing.kind == http::BodyKind::length ? framing.length : 0;
  body_done_ = !body_chunked_ && body_left_ == 0;
  continue_wanted_ = expects_continue;
}

// What was read ahead, else from the socket. For a body of known length never more than belongs to it.
net::Io H1Exchange::raw_input(http::Request& request, std::span<char> into, bool may_park) {
  if (!body_chunked_ && static_cast<std::int64_t>(into.size()) > body_left_) {
    into = into.first(static_cast<std::size_t>(body_left_));
  }
  const std::string_view ahead = connection_.input.unread();
  if (!ahead.empty()) {
    const std::size_t n = std::min(ahead.size(), into.size());
    ahead.copy(into.data(), n);
    connection_.input.consume(n);
    return net::Io::moved(n);
  }
  if (!may_park) {
    return connection_.socket.has_input() ? connection_.socket.try_read(into) : net::Io::again();
  }
  const auto timeout = static_cast<fiber::Msec>(request.conf<http::CoreLocation>().client_body_timeout.get());
  return connection_.socket.read(into, fiber::now() + timeout);
}

// Decodes chunks in place; bytes behind the body go back to the connection.
net::Io H1Exchange::decode(http::Request& request, std::span<char> raw) {
  std::size_t payload = 0;
  const auto event = decoder_.decode_in_place(raw.data(), raw.size(), &payload);
  if (event == ChunkedDecoder::Event::error) {
    log::error(request.logger, "client sent invalid chunked body");
    keepalive_ = false;
    return net::Io::failed(EBADMSG);
  }
  if (event == ChunkedDecoder::Event::done) {
    body_done_ = true;
    const std::size_t used = decoder_.consumed();
    if (used < raw.size()) connection_.input.unread_more({raw.data() + used, raw.size() - used});
  }
  return payload > 0 ? net::Io::moved(payload) : net::Io::again();
}

void H1Exchange::count_body(http::Request& request, std::size_t bytes) {
  request.main->received_body += bytes;
  if (body_chunked_) return;
  body_left_ -= static_cast<std::int64_t>(bytes);
  if (body_left_ == 0) body_done_ = true;
}

net::Socket* H1Exchange::direct_body(std::uint64_t& left) {
  if (body_chunked_ || body_done_ || continue_wanted_ || !connection_.input.unread().empty()) return nullptr;
  left = static_cast<std::uint64_t>(body_left_);
  return &connection_.socket;
}

void H1Exchange::took_direct(http::Request& request, std::size_t bytes) {
  count_body(request, bytes);
}

net::Io H1Exchange::read_some(http::Request& request, std::span<char> into, bool may_park) {
  for (;;) {
    if (continue_wanted_) {
      continue_wanted_ = false;
      if (!send_informational(request, 100)) return net::Io::failed(EPIPE);
    }
    if (body_done_) return net::Io::eof();
    net::Io io = raw_input(request, into, may_park);
    if (io.kind == net::Io::Kind::eof) {
      keepalive_ = false;
      return net::Io::failed(ECONNRESET);
    }
    if (!io.ok()) {
      if (io.kind != net::Io::Kind::again) keepalive_ = false;
      return io;
    }
    count_body(request, io.bytes);
    if (!body_chunked_) return io;
    io = decode(request, into.first(io.bytes));
    if (io.kind == net::Io::Kind::failed) return io;
    const std::int64_t limit = request.conf<http::CoreLocation>().client_max_body_size;
    if (limit != 0 && decoder_.announced() > static_cast<std::uint64_t>(limit)) {
      keepalive_ = false;
      http::RequestBody& body = request.main->body;
      body.too_large_chunk = decoder_.chunk();
      body.too_large = decoder_.announced() - body.too_large_chunk;
      return net::Io::failed(EFBIG);
    }
    if (io.ok()) return io;
  }
}

net::Io H1Exchange::read_body(http::Request& request, std::span<char> into) {
  return read_some(request, into, true);
}

net::Io H1Exchange::try_read_body(http::Request& request, std::span<char> into) {
  if (continue_wanted_) return net::Io::again();
  return read_some(request, into, false);
}

bool H1Exchange::take_over(http::Request&, std::string_view& read_ahead) {
  taken_over_ = true;
  keepalive_ = false;
  body_done_ = true;
  read_ahead = connection_.input.unread();
  return true;
}

}  // namespace mp::proto
