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
#include <string_view>
#include <vector>

#include <llhttp.h>

#include "base/arena.hpp"
#include "http/field_list.hpp"
#include "http/method.hpp"
#include "http/strict.hpp"
#include "proto/h1/head_options.hpp"

namespace mp::proto {

struct RequestHead {
  explicit RequestHead(Arena& arena) : fields(arena) {}

  http::Method method = http::Method::other;
  bool complex_path = false;  // the path has "//", "/.", '#' or is missing: it must be normalised
  bool quoted_path = false;   // the path has a '%'
  bool plus_in_path = false;
  bool has_args = false;  // there is a '?'
  int version = 0;        // major * 1000 + minor: 9, 1000, 1001
  std::string_view method_name;
  std::string_view request_line;  // without its line end; empty until it was parsed
  std::string_view protocol;      // "HTTP/1.1"; empty for HTTP/0.9
  std::string_view scheme;        // of an absolute-form target, else empty
  std::string_view authority;     // of an absolute-form or CONNECT target, else empty
  std::string_view target;        // path and arguments as sent: $request_uri. "/" when the path is missing,
                                  // "?a=b" when only the path is
  std::string_view path;          // `target` up to '?'; still quoted
  std::string_view args;          // after '?'
  std::string_view raw;           // the whole head as received, from the request line on

  http::FieldList fields;
  std::optional<http::HostPort> host;  // from `authority`, else from the Host field
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
  std::size_t consumed() const { return line_start_; }

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
    return {base_ + ignored_[i].offset, ignored_[i].size};
  }

  // The buffer is now at `data`: moves all views there.
  void rebase(const char* data);

 private:
  static constexpr std::size_t kNotStarted = static_cast<std::size_t>(-1);
  struct Extent {
    std::uint32_t offset;
    std::uint32_t size;
  };
  enum class Line : std::uint8_t { complete, partial, bad };

  bool skip_empty_lines(std::string_view data);
  Parse feed_request_line(std::string_view data);
  Parse feed_fields(std::string_view data);
  Line next_line(std::string_view data, std::size_t& end);
  bool account_line(std::size_t size, bool whole);
  bool check_line(std::string_view line, bool& skip);
  bool run_grammar(const char* from, const char* to, bool last);
  Parse finish(std::string_view data);
  Parse refuse(int status, std::string_view text);
  void refuse_line(const char* line, const char* at);
  Parse too_long(std::string_view data);

  static int on_field(llhttp_t* grammar, const char* at, std::size_t size);
  static int on_value(llhttp_t* grammar, const char* at, std::size_t size);

  const HeadOptions& options_;
  const char* base_ = nullptr;
  std::size_t request_start_ = kNotStarted;
  std::size_t line_start_ = 0;  // of the line that is not complete yet
  std::size_t scanned_ = 0;     // no line end and no control before this offset
  std::size_t room_left_ = 0;   // in the header buffer that nginx would be filling
  unsigned large_used_ = 0;
  bool line_done_ = false;
  bool method_done_ = false;
  std::string_view field_name_;
  llhttp_t grammar_;
  RequestHead head_;
  http::HeadError error_;
  std::vector<Extent> ignored_;
};

}  // namespace mp::proto
