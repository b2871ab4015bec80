// RequestHeadParser: an HTTP/1 request line and header fields, from bytes that arrive in pieces.
//
// The caller keeps the head in one contiguous buffer and gives all of it to feed() each time more has
// come; the buffer may move between calls, only new bytes are looked at. Nothing is copied: RequestHead
// holds views into the buffer given last, which must stay alive and in place while the head is used
// (after moving it once more, call rebase()). The field array lives in the Arena.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.hpp"
#include "http/field_list.hpp"
#include "http/method.hpp"
#include "http/strict.hpp"
#include "http/uri_authority.hpp"
#include "proto/h1/head_options.hpp"
#include "proto/h1/head_reader.hpp"

namespace mp::proto {

struct RequestHead {
  explicit RequestHead(Arena& arena) : fields(arena) {}

  int version = 0;  // major * 1000 + minor: 9, 1000, 1001
  http::Method method = http::Method::other;
  std::string_view method_name;
  std::string_view request_line;  // without its line end; empty until it was parsed
  std::string_view protocol;      // "HTTP/1.1"; empty for HTTP/0.9
  std::string_view scheme;        // of an absolute-form target, else empty
  std::string_view authority;     // of an absolute-form or CONNECT target, else empty
  std::string_view target;        // $request_uri, for http::parse_request_uri(): starts with '/' or '?'
  std::string_view raw;           // the whole head as received, from the request line on

  http::FieldList fields;
  std::optional<http::Host> host;  // from `authority`, else from the Host field
  http::BodyFraming body;
  http::ConnectionOption connection = http::ConnectionOption::unset;

  // True when the client wants or, from HTTP/1.1 on, leaves it to us to keep the connection.
  bool keep_alive() const {
    return connection == http::ConnectionOption::unset ? version > 1000
                                                       : connection == http::ConnectionOption::keep_alive;
  }
};

class RequestHeadParser {
 public:
  // `options` and `arena` must outlive the parser.
  RequestHeadParser(const HeadOptions& options, Arena& arena);
  RequestHeadParser(const RequestHeadParser&) = delete;
  RequestHeadParser& operator=(const RequestHeadParser&) = delete;

  // `data`: everything received since the end of the previous request; it starts with the same bytes
  // as in the call before. After complete or error do not call it again.
  Parse feed(std::string_view data);

  // After complete: how many bytes of `data` belong to the head, empty lines in front included.
  std::size_t consumed() const { return lines_.start(); }

  // Before complete: how many bytes of whole lines have been read, as nginx counts a request that is refused.
  std::size_t read_so_far() const { return line_done_ ? lines_.start() - request_start_ : 0; }

  // After error. What was parsed before it is in head(), for the log line.
  const http::HeadError& error() const { return error_; }

  RequestHead& head() { return head_; }
  const RequestHead& head() const { return head_; }

  // True once a byte other than an empty line has come: a request has begun.
  bool started() const { return request_start_ != kNotStarted; }
  bool line_done() const { return line_done_; }  // the request line is parsed; fields are being read

  // Header lines that were left out because their names are odd; each is to be logged at info level as
  //   client sent invalid header line: "..."
  std::size_t ignored_lines() const { return ignored_.size(); }
  std::string_view ignored_line(std::size_t i) const {
    return data_.substr(ignored_[i].offset, ignored_[i].size);
  }

  // The buffer is now at `data`: moves all views there.
  void rebase(const char* data);

 private:
  static constexpr std::size_t kNotStarted = static_cast<std::size_t>(-1);
  struct Extent {
    std::uint32_t offset;
    std::uint32_t size;
  };

  Parse feed_line();
  bool find_line();
  [[gnu::cold]] bool skip_empty_lines();
  Parse feed_request_line();
  bool take_usual_line();
  bool check_method(std::string_view text, bool whole);
  Parse parse_request_line(std::string_view line);
  bool parse_version(std::string_view text);
  bool parse_target(std::string_view target);
  Parse feed_fields();
  bool take_usual_fields();
  bool take_field_line(std::string_view line);
  bool take_line(std::string_view line, std::size_t name_size);
  bool explain(std::string_view line, std::size_t name_size);
  Parse finish();
  Parse finish_unusual();
  std::size_t window() const;
  bool take_room(std::size_t size);
  [[gnu::cold]] Parse refuse(int status, std::string text);
  [[gnu::cold]] Parse refuse_request() { return refuse(400, "client sent invalid request"); }
  [[gnu::cold]] void refuse_line(std::string_view line, const char* at);
  [[gnu::cold]] Parse too_long(bool request_line);

  const HeadOptions& options_;
  Arena& arena_;
  std::string_view data_;
  std::size_t request_start_ = kNotStarted;
  std::size_t method_size_ = 0;  // characters of the method checked so far
  bool method_done_ = false;
  bool line_done_ = false;
  std::size_t room_;  // left in the header buffer that nginx would be filling
  unsigned large_used_ = 0;
  LineScanner lines_;
  RequestHead head_;
  FieldGrammar grammar_;
  http::HeadError error_;
  std::vector<Extent> ignored_;
};

}  // namespace mp::proto
