// Connection: one HTTP/1 client connection. While it is idle it has no fiber and no buffer: a small object
// and its epoll registration. Bytes that arrive take a fiber, which serves requests until the connection is
// idle again. Owns itself: it is made by the acceptor and destroyed when the connection has ended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "http/connection.hpp"
#include "http/core_conf.hpp"
#include "http/ssl_connection.hpp"
#include "proto/h1/input_buffer.hpp"
#include "proto/h1/request_parser.hpp"
#include "proto/h2/session.hpp"
#include "proto/worker.hpp"
#include "tls/stream.hpp"

namespace mp::http {
class Request;
}

namespace mp::proto {

class H1Exchange;

class H1Connection final : public http::Connection, private WorkerConnection {
 public:
  // Takes over an accepted, non-blocking descriptor. Starts to wait for the first request.
  static void start(Worker& worker, int fd, const net::Address& peer, const http::AddressConf& address);
  ~H1Connection() override;

  InputBuffer input;
  Worker& worker() { return worker_; }

  // Takes a whole response that may be sent together with those of others that became ready with this one.
  // False: it is for the caller to send.
  bool post(std::string_view response);
  void send_what_is_posted();  // now, with those of the others
  // What is written next is the last of this connection.
  void last_write_follows() {
    if (ssl != nullptr) ssl->stream().end_with_next_write();
  }
  // From the Outbox: makes records in `room` where TLS wants them; sends the response, or the records.
  tls::Stream::Sealed seal(std::string_view response, std::span<char> room);
  void send_posted(std::string_view response, const tls::Stream::Sealed& sealed);

 private:
  H1Connection(Worker& worker, const net::Address& peer, const http::AddressConf& address);

  enum class After : std::uint8_t { next_request, idle, close, linger };

  void input_ready() override;
  void expired() override;        // the idle timer
  void close_if_idle() override;  // the worker shuts down gracefully
  void cancel() override;

  void go_idle(std::uint64_t timeout_msec);
  void close_now();
  static void take_turn(void* worker);
  // Records of TLS that came from a connection.
  struct Fetched {
    H1Connection* connection;
    std::size_t size;
  };
  static void open_records(std::span<const Fetched> fetched, const char* records);
  static void read_together(Worker& worker);
  std::string_view fetch(std::span<char> place);
  [[gnu::cold]] void send_failed(std::string_view response, const net::Io& io);
  [[gnu::cold]] After send_rest();
  void run();
  void serve_requests();
  const http::CoreServer& settings() const { return first_server().sets.get<http::CoreServer>(); }

  // In opening.cpp.
  bool read_proxy_header();
  net::Io peek_more(std::span<char> into, std::uint64_t deadline);
  void take_peeked(std::size_t bytes);
  bool start_tls();
  bool speaks_http2();
  void start_http2();

  After serve_one();
  bool read_head(const http::CoreServer& conf, RequestHeadParser& parser, http::Request& request);
  After after_response(http::Request& request, H1Exchange& exchange);
  After break_off(http::Request& request);
  After end_connection(http::Request& request, H1Exchange& exchange);
  bool read_more_head(const http::CoreServer& conf, RequestHeadParser& parser, http::Request& request);
  [[gnu::cold]] void head_did_not_come(const net::Io& io, const RequestHeadParser& parser,
                                       http::Request& request);
  [[gnu::cold]] void log_ignored_lines(const RequestHeadParser& parser, const http::Request& request);
  [[gnu::cold]] void refuse_head(const RequestHeadParser& parser, http::Request& request,
                                 H1Exchange& exchange);
  // Only bytes keep the fiber: a socket that may have some, because the last read took as much as it asked
  // for, is asked once more.
  After look_for_input() { return socket.has_input() ? read_on() : After::idle; }
  After read_on();
  bool drain_body(http::Request& request, H1Exchange& exchange);
  void apply_head(http::Request& request, RequestHead& head);

  // Idle connections are many: no padding.
  Worker& worker_;
  fiber::Fiber* fiber_ = nullptr;     // null while none serves it
  std::unique_ptr<H2Session> http2_;  // it has taken over
  std::uint64_t idle_since_ = 0;
  std::uint64_t idle_timeout_ = 0;
  std::uint16_t peeked_ = 0;   // bytes of a PROXY header seen and not yet taken
  bool running_ = false;       // a fiber serves it, or will when its turn comes
  bool cancel_asked_ = false;  // before there was one
  bool kept_alive_ = false;    // at least one request was answered
  bool pipelined_ = false;     // the next request has begun to come
  bool plain_on_tls_ = false;  // the client speaks plain HTTP where TLS is expected
  enum class Posted : std::uint8_t { nothing, all, rest };
  Posted posted_ = Posted::nothing;  // what the Outbox has of the last response
};

}  // namespace mp::proto
