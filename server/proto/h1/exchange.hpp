// H1Exchange: one request and its response on an HTTP/1 connection. Lives on the stack of the fiber that
// serves the request. Small output is held back so that a head and its body leave in one write.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/put.hpp"
#include "http/direct_body.hpp"
#include "http/exchange.hpp"
#include "http/request.hpp"
#include "proto/h1/chunked.hpp"
#include "proto/h1/connection.hpp"

namespace mp::proto {

class H1Exchange final : public http::Exchange, public http::DirectBody {
 public:
  explicit H1Exchange(H1Connection& connection) : connection_(connection) {}

  // Called when the head of the request is known.
  void begin(http::Request& request, const http::BodyFraming& framing, bool expects_continue);

  net::Io read_body(http::Request& request, std::span<char> into) override;
  net::Io try_read_body(http::Request& request, std::span<char> into) override;
  bool body_complete() const override { return body_done_; }
  net::Socket* direct_body(std::uint64_t& left) override;
  void took_direct(http::Request& request, std::size_t bytes) override;
  bool send_informational(http::Request& request, int status) override;
  bool send_head(http::Request& request, bool no_body) override;
  bool send_body(http::Request& request, const http::Output& output) override;
  bool flush(http::Request& request) override;
  std::size_t unsent() const override { return held_.size(); }
  bool can_hold_head() const override;
  bool hold(http::Request& request, std::span<const std::string_view> texts) override;
  bool take_over(http::Request& request, std::string_view& read_ahead) override;
  void no_keepalive() override { keepalive_ = false; }
  bool keepalive() const override { return keepalive_; }

  bool taken_over() const { return taken_over_; }
  bool response_complete() const { return complete_; }
  bool failed() const { return failed_; }

 private:
  // What leaves at once anyway is put together up to this, and sent from where it is beyond.
  static constexpr std::size_t kCopyLimit = 4096;
  static constexpr std::size_t kFrame = kMaxChunkHead + 2;  // what a chunk has around it

  // Bytes that wait for more before they are written. Grows in the request's arena.
  class Held {
   public:
    std::string_view bytes() const { return {data_, size_}; }
    std::size_t size() const { return size_; }
    // Room for so many more; tell filled() how many came.
    char* reserve(Arena& arena, std::size_t bytes) {
      if (capacity_ - size_ < bytes) grow(arena, bytes);
      return data_ + size_;
    }
    void filled(std::size_t n) { size_ += n; }
    void append(Arena& arena, std::string_view bytes) {
      put(reserve(arena, bytes.size()), bytes);
      size_ += bytes.size();
    }
    void clear() { size_ = 0; }

   private:
    void grow(Arena& arena, std::size_t bytes);

    char* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
  };

  // As much as may wait for company: `postpone_output`.
  static std::size_t hold_limit(const http::CoreLocation& core);
  void decide_framing(http::Request& request, const http::CoreLocation& core, bool no_body);
  void decide_keepalive(http::Request& request, const http::CoreLocation& core);
  void render_head(http::Request& request, const http::CoreLocation& core);
  bool send_last(http::Request& request, std::string_view bytes);
  template <class Part>
  void put_part_of_body(http::Request& request, std::span<const Part> parts, std::size_t size);
  bool hold_part(http::Request& request, const http::Output& output);
  bool send_pieces(http::Request& request, const http::Output& output);
  bool hold_or_send(http::Request& request, std::span<const http::Piece> pieces, std::size_t size,
                    std::string_view tail, std::size_t limit);
  bool send_now(http::Request& request, std::span<const http::Piece> pieces, std::string_view tail);
  bool send_vector(http::Request& request, std::span<iovec> pieces, bool more_follows);
  bool send_slowly(http::Request& request, std::span<const iovec> pieces);
  bool send_slowly(http::Request& request, std::string_view bytes);
  bool send_held(http::Request& request);
  bool write_held(http::Request& request, std::string_view bytes);
  void send_at_once_if_second(const http::Request& request);
  bool send_file(http::Request& request, const http::Piece& piece);
  bool send_file_through_buffer(http::Request& request, const http::Piece& piece);
  bool hold_file(http::Request& request, const http::Piece& piece);
  bool end_body(http::Request& request);
  void put_trailers(http::Request& request);
  std::size_t allowed_now(http::Request& request,
                          std::size_t wanted);  // parks while limit_rate allows nothing
  net::Io read_some(http::Request& request, std::span<char> into, bool may_park);
  net::Io raw_input(http::Request& request, std::span<char> into, bool may_park);
  net::Io decode(http::Request& request, std::span<char> raw);
  void count_body(http::Request& request, std::size_t bytes);
  [[gnu::cold]] bool fail(http::Request& request, const net::Io& io);
  void count(http::Request& request);

  H1Connection& connection_;
  const http::Request* request_ = nullptr;  // once its head is known
  ChunkedDecoder decoder_;
  std::int64_t body_left_ = 0;
  bool body_chunked_ = false;
  bool body_done_ = true;
  bool continue_wanted_ = false;
  std::uint64_t body_bytes_ = 0;

  Held held_;
  std::size_t hold_limit_ = 0;        // once there is a head
  std::int64_t promised_ = -1;        // Content-Length given; -1 when the body's end is told another way
  std::uint64_t written_before_ = 0;  // of the connection, when this exchange began
  std::uint64_t head_bytes_ = 0;
  bool too_long_ = false;       // ... and more than that was offered
  std::uint64_t accepted_ = 0;  // body bytes taken from above, framing not counted
  bool chunked_ = false;        // the response body is
  bool keepalive_ = true;
  bool complete_ = false;
  bool failed_ = false;
  bool taken_over_ = false;
};

}  // namespace mp::proto
