// H2Exchange: one request on an H2Client, as the layer of a Link: what is written to it is an HTTP/1.1
// request, what is read from it an HTTP/1.1 response. Owned by its link; ends with it.
#pragma once

#include <cerrno>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <nghttp2/nghttp2.h>

#include "net/socket.hpp"
#include "proto/h1/chunked.hpp"
#include "proto/h2/output_buffer.hpp"

namespace mp::upstream {

class H2Client;
class Link;

class H2Exchange final : public net::Layer {
 public:
  static constexpr std::size_t kMostHeld = 64 * 1024;  // of a request body that the server does not take yet

  H2Exchange(std::shared_ptr<H2Client> client, net::Socket& socket)
      : client_(std::move(client)), socket_(socket) {}
  ~H2Exchange() override;

  // ---- net::Layer
  net::Io try_read(net::Socket& socket, std::span<char> into) override;
  net::Io try_write(net::Socket& socket, std::span<const iovec> pieces) override;
  net::Io try_sendfile(net::Socket&, int, off_t, std::size_t) override { return net::Io::failed(ENOTSUP); }
  net::Io peek(net::Socket& socket) override;
  bool has_buffered_input() const override { return !input_.empty() || over_; }
  void shutdown(net::Socket&) override {}

  // ---- from the client, on its pump
  void field(std::string_view name, std::string_view value);
  void head_complete(bool ended);
  void body(std::string_view bytes);
  void input_ended();
  void closed(std::uint32_t error);  // the stream is over for the engine
  void reset(std::uint32_t error);   // by the server, maybe after the end
  void broken();                     // the connection is
  ssize_t offer(std::size_t most, std::uint32_t& flags);
  bool take(const std::uint8_t* frame_head, std::size_t size, proto::OutputBuffer& out);

  std::int32_t id() const { return id_; }
  std::int32_t last_id() const { return last_id_; }  // also when the engine knows it no more
  // The server has not looked at the request, and says so in good order: it may be sent again.
  bool refused() const;
  // The connection broke before the response was complete.
  bool lost() const { return lost_; }
  bool explained() const { return explained_; }  // the log says why the response ended early
  const Link& carrier() const;                   // the connection below

 private:
  enum class Body : std::uint8_t { none, length, chunked };

  net::Io put(std::string_view bytes, std::size_t& used);
  bool submit(std::string_view head);
  std::size_t put_body(std::string_view bytes);
  void body_put();
  void tell_reader();
  nghttp2_session* engine() const;
  void consumed(std::size_t bytes);

  static constexpr std::size_t kMostHead = 256 * 1024;

  std::shared_ptr<H2Client> client_;
  net::Socket& socket_;
  std::int32_t id_ = 0;
  std::int32_t last_id_ = 0;
  bool submitted_ = false;
  bool over_ = false;      // nothing more comes in
  bool failed_ = false;    // ... and what came is not all
  bool lost_ = false;      // ... because the connection broke
  bool refused_ = false;   // the server has not looked at the request
  bool reset_ = false;     // after the end, without an error
  bool sent_on_ = false;   // frames after that
  bool told_off_ = false;  // RST_STREAM has come
  bool explained_ = false;
  std::uint32_t error_ = 0;
  std::string mistake_;  // what the server did wrong; empty: nothing is known

  // ---- the request
  std::string head_;  // until it is complete
  Body body_ = Body::none;
  std::uint64_t left_ = 0;
  std::optional<proto::ChunkedDecoder> chunks_;
  proto::OutputBuffer output_;
  bool body_complete_ = false;
  bool deferred_ = false;

  // ---- the response
  std::string fields_;  // of the head or the trailers being read
  int status_ = 0;
  bool head_done_ = false;
  bool has_length_ = false;
  bool chunked_ = false;
  std::string trailers_;
  proto::OutputBuffer input_;
  std::size_t unconsumed_ = 0;
};

}  // namespace mp::upstream
