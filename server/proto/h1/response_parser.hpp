// ResponseHeadParser: an HTTP/1 status line and header fields from an upstream server.
// Works as RequestHeadParser does: one contiguous buffer, given whole to each feed(); views into it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/arena.hpp"
#include "http/field_list.hpp"
#include "http/strict.hpp"
#include "proto/h1/head_options.hpp"
#include "proto/h1/head_reader.hpp"

namespace mp::proto {

struct ResponseHead {
  explicit ResponseHead(Arena& arena) : fields(arena) {}

  int version = 0;  // major * 1000 + minor; 9: no HTTP head at all, everything is body
  int status = 0;
  std::string_view status_line;  // from the code on, "404 Not Found"
  std::string_view reason;       // may be empty
  std::string_view raw;
  http::FieldList fields;
  std::int64_t content_length = -1;
  bool chunked = false;
  bool connection_close = false;  // the connection cannot be used again

  // 100, 102, 103: another head follows. 101 ends HTTP on the connection.
  bool interim() const { return status >= 100 && status < 200 && status != 101; }
};

class ResponseHeadParser {
 public:
  explicit ResponseHeadParser(Arena& arena, unsigned max_fields = 1000);
  ResponseHeadParser(const ResponseHeadParser&) = delete;
  ResponseHeadParser& operator=(const ResponseHeadParser&) = delete;

  // The caller bounds `data` by its buffer (proxy_buffer_size) and reports "upstream sent too big header
  // while reading response header from upstream" itself when feed() still needs more in a full one.
  // Not an HTTP head at all: complete with version 9 and consumed() 0; log at error level
  //   upstream sent no valid HTTP/1.0 header
  Parse feed(std::string_view data);
  // The head was written by this server, for a response that came otherwise: it may tell a length and be
  // chunked.
  void allow_both_framings() { both_framings_ = true; }

  std::size_t consumed() const { return lines_.start(); }
  const http::HeadError& error() const { return error_; }  // status 502; log at error level
  ResponseHead& head() { return head_; }
  const ResponseHead& head() const { return head_; }

  // Starts over for the head that follows an interim one; feed() then gets the bytes behind it.
  void restart();
  void rebase(const char* data);

 private:
  bool take_usual_status_line();
  Parse feed_status_line();
  bool parse_status_line(std::string_view line);
  Parse not_http();
  bool take_usual_fields();
  Parse feed_fields();
  bool take_field_line(std::string_view line);
  bool take_line(std::string_view line, std::size_t name_size);
  bool explain(std::string_view line, std::size_t name_size);
  bool accept(const http::HeaderField& field);
  bool refuse_field(const http::HeaderField& field);
  Parse finish();
  Parse refuse(std::string text);

  unsigned max_fields_;
  bool both_framings_ = false;
  std::string_view data_;
  bool line_done_ = false;
  LineScanner lines_{true};
  ResponseHead head_;
  FieldGrammar grammar_;
  http::HeadError error_;
};

// How the body that follows `head` is delimited (RFC 9112 6.3). A 101, and a 2xx answer to CONNECT, turn the
// connection into a tunnel: until_close.
http::BodyFraming response_framing(const ResponseHead& head, bool head_request, bool connect_request = false);

}  // namespace mp::proto
