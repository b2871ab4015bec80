// ResponseHeadParser: an HTTP/1 status line and header fields from an upstream server.
// Works as RequestHeadParser does: one contiguous buffer, given whole to each feed(); views into it.
#pragma once

#include <cstddef>
#include <string_view>

#include <llhttp.h>

#include "base/arena.hpp"
#include "http/field_list.hpp"
#include "http/strict.hpp"
#include "proto/h1/head_options.hpp"

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

  std::size_t consumed() const { return line_start_; }
  const http::HeadError& error() const { return error_; }  // status 502; log at error level
  ResponseHead& head() { return head_; }
  const ResponseHead& head() const { return head_; }

  // Starts over for the head that follows an interim one; feed() then gets the bytes behind it.
  void restart();
  void rebase(const char* data);

 private:
  Parse feed_status_line(std::string_view data);
  Parse feed_fields(std::string_view data);
  bool check_line(std::string_view line, bool& skip);
  bool check_field(const http::HeaderField& field);
  bool run_grammar(const char* from, const char* to, bool last);
  Parse finish(std::string_view data);
  Parse refuse(std::string text);
  void refuse_line(const char* line, const char* at);

  static int on_field(llhttp_t* grammar, const char* at, std::size_t size);
  static int on_value(llhttp_t* grammar, const char* at, std::size_t size);

  unsigned max_fields_;
  const char* base_ = nullptr;
  std::size_t line_start_ = 0;
  std::size_t scanned_ = 0;
  bool line_done_ = false;
  std::string_view field_name_;
  llhttp_t grammar_;
  ResponseHead head_;
  http::HeadError error_;
};

// How the body that follows `head` is delimited (RFC 9112 6.3). A 101, and a 2xx answer to CONNECT, turn the
// connection into a tunnel: until_close.
http::BodyFraming response_framing(const ResponseHead& head, bool head_request, bool connect_request = false);

}  // namespace mp::proto
