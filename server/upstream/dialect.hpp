// Dialect: the language spoken to an upstream server: how a request is written and a response read. A
// Transfer does everything else: choosing servers, connections, tries, bodies, buffering. One object for one
// request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/headers.hpp"
#include "http/request.hpp"

namespace mp::upstream {

// The head of a response, as the server sent it.
struct Reply {
  explicit Reply(Arena& arena) : fields(arena), trailers(arena) {}

  int status = 0;
  std::string_view status_line;  // "404 Not Found"; empty: the usual words
  http::Headers fields;
  http::Headers trailers;
  std::int64_t content_length = -1;
  bool no_body = false;      // HEAD, 204, 304: the message ends with the head
  bool upgrade = false;      // 101 to a request that asked for it: the connection is a tunnel from here on
  bool conditional = false;  // conditions of the client's are for this server to check
  bool until_close = false;  // the end of the connection is the end of the body
};

class Dialect {
 public:
  virtual ~Dialect() = default;

  // Writes the head of the request, with a body that `set_body` made up behind it; it serves every try. Null
  // data: the request ends with 500. `streamed`: the client's body follows in pieces of a length not known
  // yet.
  virtual std::string_view write_request(http::Request& request, bool streamed) = 0;
  // Whether a body of this request can be passed on in pieces.
  virtual bool may_stream(const http::Request& request) const = 0;
  // Whether the client's body goes along.
  virtual bool sends_body() const = 0;
  // Whether pieces of the body travel in frames: what open_frame() writes (at most kMaxFrameHead bytes), the
  // piece (at most kMaxFrame bytes), what close_frame() says; end_body() behind the last one.
  static constexpr std::size_t kMaxFrameHead = 32;
  static constexpr std::size_t kMaxFrame = 32 * 1024;
  virtual bool frames_body() const { return false; }
  virtual std::size_t open_frame(char*, std::size_t) const { return 0; }
  virtual std::string_view close_frame(std::size_t) const { return {}; }
  virtual std::string_view end_body() const { return {}; }

  // What it writes and reads goes over a stream of an HTTP/2 connection.
  virtual bool over_http2() const { return false; }

  // "http://" and the URI, for the log.
  virtual std::string_view scheme() const = 0;
  virtual std::string_view uri() const = 0;

  // Forgets what was read: another try begins.
  virtual void restart() = 0;

  // Servers of this dialect say nothing before the client does: read_head() makes an answer out of nothing.
  virtual bool answers_itself() const { return false; }

  enum class Head : std::uint8_t {
    need_more,
    complete,
    interim,  // another head follows behind what was consumed
    invalid,  // it was logged
  };
  // Reads the head out of all bytes that have come. `data` stays where it is as long as the request.
  virtual Head read_head(http::Request& request, std::string_view data, Reply& reply,
                         std::size_t& consumed) = 0;

  // How many bytes from the front read_head() needs no more, when the buffer is full and the head not
  // complete: they make room for others.
  virtual std::size_t forget() { return 0; }

  enum class Body : std::uint8_t { more, done, error };
  // Takes framing out of `size` bytes at `data`: payload is moved to the front. What is wrong was logged.
  virtual Body decode(http::Request& request, Reply& reply, char* data, std::size_t size,
                      std::size_t& payload) = 0;
  // The server has closed the connection: whether the body is complete.
  virtual bool complete_at_end(const Reply& reply) { return reply.until_close; }
  // Whether the connection may serve another request, once the body is done.
  virtual bool keepalive() const = 0;

  // What stands for the request in a cache when the configuration does not say; empty: it has to.
  virtual std::string_view default_cache_key(http::Request&) { return {}; }
  // The head that read_head() has understood, and the same read again out of a cache.
  virtual std::string_view head_text() const { return {}; }
  virtual bool read_kept_head(http::Request&, std::string_view, Reply&) { return false; }

  // Changes a redirect or a cookie on its way to the client. The value, or null data when it stays as it is.
  virtual std::string_view rewrite_redirect(http::Request&, std::string_view) { return {}; }
  virtual std::string_view rewrite_cookie(http::Request&, std::string_view) { return {}; }
};

}  // namespace mp::upstream
