#include "proto/h1/response_parser.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/ascii.hpp"
#include "base/strings.hpp"
#include "http/scan16.hpp"

namespace mp::proto {
namespace {

using http::HeaderId;

constexpr std::string_view kStart = "HTTP/";

std::string quoted(const http::HeaderField& field) {
  return '"' + std::string(field.name) + ": " + std::string(field.value) + '"';
}

// Up to three digits at the front of `text`, taken off it; -1 when there is none.
int take_number(std::string_view& text) {
  int value = -1;
  for (int digits = 0; digits < 3 && !text.empty() && is_digit(text.front()); ++digits) {
    value = std::max(value, 0) * 10 + (text.front() - '0');
    text.remove_prefix(1);
  }
  return value;
}

// Fields that accept() looks at.
constexpr bool is_judged(HeaderId id) {
  return id == HeaderId::connection || id == HeaderId::content_length || id == HeaderId::transfer_encoding;
}

}  // namespace

ResponseHeadParser::ResponseHeadParser(Arena& arena, unsigned max_fields)
    : max_fields_(max_fields),
      head_(arena),
      grammar_(
          FieldGrammar::Kind::response, head_.fields,
          [](void* owner, const http::HeaderField& field) {
            return static_cast<ResponseHeadParser*>(owner)->accept(field);
          },
          this) {}

void ResponseHeadParser::restart() {
  head_.version = head_.status = 0;
  head_.status_line = head_.reason = head_.raw = {};
  head_.fields.clear();
  head_.content_length = -1;
  head_.chunked = head_.connection_close = false;
  grammar_.reset();
  lines_ = LineScanner(true);
  line_done_ = false;
  data_ = {};
  error_ = {};
}

void ResponseHeadParser::rebase(const char* to) {
  if (data_.data() == nullptr || to == data_.data()) return;
  for (std::string_view* view : {&head_.status_line, &head_.reason, &head_.raw}) shift_view(*view, data_, to);
  shift_fields(head_.fields, data_, to);
  data_ = {to, data_.size()};
}

Parse ResponseHeadParser::feed(std::string_view data) {
  if (data.data() != data_.data()) rebase(data.data());
  data_ = data;
  if (!line_done_ && take_usual_status_line()) line_done_ = true;
  if (!line_done_) {
    const Parse result = feed_status_line();
    if (result != Parse::complete || head_.version == 9) return result;
    line_done_ = true;
    lines_.advance();
  }
  return feed_fields();
}

// An answer that does not begin as HTTP is taken as a body without a head, as nginx does: HTTP/0.9.
Parse ResponseHeadParser::not_http() {
  head_.version = 9;
  head_.status = 200;
  head_.status_line = {};
  head_.connection_close = true;
  return Parse::complete;
}

// "HTTP/1.1 200 OK" with CR LF behind it, all of it there. False: something else, which is for
// feed_status_line().
bool ResponseHeadParser::take_usual_status_line() {
  constexpr std::string_view kUsual = "HTTP/1.1 ";
  constexpr std::size_t kCodeEnd = kUsual.size() + 3;
  const char* const begin = data_.data();
  const char* const end = begin + data_.size();
  if (lines_.start() != 0 || data_.size() <= kCodeEnd || !data_.starts_with(kUsual)) return false;
  const char* const code = begin + kUsual.size();
  if (!is_digit(code[0]) || !is_digit(code[1]) || !is_digit(code[2]) || code[3] != ' ') return false;
  const char* const stop = http::find_control_inline(code + 4, end);
  if (end - stop < 2 || stop[0] != '\r' || stop[1] != '\n') return false;
  head_.version = 1001;
  head_.status = (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
  head_.status_line = {code, static_cast<std::size_t>(stop - code)};
  head_.reason = head_.status_line.substr(4);
  lines_.skip_to(static_cast<std::size_t>(stop - begin) + 2);
  return true;
}

Parse ResponseHeadParser::feed_status_line() {
  const std::size_t known = std::min(kStart.size(), data_.size());
  if (data_.substr(0, known) != kStart.substr(0, known)) return not_http();
  switch (lines_.scan(data_)) {
    case LineScanner::Found::partial:
      return Parse::need_more;
    case LineScanner::Found::bad:
      return not_http();
    case LineScanner::Found::line:
      break;
  }
  if (!parse_status_line(lines_.text())) return not_http();
  if (head_.version < 1001) {
    if (head_.status == 103) return refuse("upstream sent HTTP/1.0 response with early hints");
    head_.connection_close = true;
  }
  return Parse::complete;
}

// "HTTP/1.1 200 OK"; the reason may be missing, with or without the blank before it, and a sub-code
// ("403.1", sent by IIS) counts as a part of it.
bool ResponseHeadParser::parse_status_line(std::string_view line) {
  line.remove_prefix(kStart.size());
  if (line.empty() || line.front() == '0') return false;
  const int major = take_number(line);
  if (major < 1 || !consume(line, ".")) return false;
  const int minor = take_number(line);
  if (minor < 0 || !consume(line, " ")) return false;
  while (line.starts_with(' ')) line.remove_prefix(1);

  head_.status_line = line;
  const std::size_t before = line.size();
  const int status = take_number(line);
  if (before - line.size() != 3 || (!line.empty() && line.front() != ' ' && line.front() != '.'))
    return false;
  head_.version = major * 1000 + minor;
  head_.status = status;
  head_.reason = line.starts_with(' ') ? line.substr(1) : line;
  return true;
}

// The usual lines from here on, `Name: value` with CR LF behind it, in one pass over their bytes; most heads
// have no others. Stops at the first that is something else, which is for feed_fields() to judge. False: a
// field was refused.
bool ResponseHeadParser::take_usual_fields() {
  const char* const end = data_.data() + data_.size();
  const char* line = data_.data() + lines_.start();
  bool good = true;
  while (good && line != end && *line != '\r') {
    // A name that has an id is a good one.
    const char* colon = http::find_colon(line, end);
    HeaderId id = HeaderId::unknown;
    if (colon != end) id = http::header_id({line, static_cast<std::size_t>(colon - line)});
    if (id == HeaderId::unknown) [[unlikely]] {
      const char* const looked_up = std::exchange(colon, http::skip_plain_name(line, end));
      if (colon == line || colon == end || *colon != ':') break;
      if (colon != looked_up) id = http::header_id({line, static_cast<std::size_t>(colon - line)});
    }
    if (id == HeaderId::transfer_encoding) break;
    const char* const stop = http::find_control_inline(colon + 1, end);
    if (end - stop < 2 || std::memcmp(stop, "\r\n", 2) != 0) break;
    const char* const begin = colon + (colon[1] == ' ' ? 2 : 1);
    std::string_view value{begin, static_cast<std::size_t>(stop - begin)};
    if (is_blank(*begin) || is_blank(stop[-1])) [[unlikely]]
      value = trim(value);
    const http::HeaderField& field =
        head_.fields.add({line, static_cast<std::size_t>(colon - line)}, value, id);
    line = stop + 2;
    if (is_judged(id) || head_.fields.size() > max_fields_) good = accept(field);
  }
  lines_.skip_to(static_cast<std::size_t>(line - data_.data()));
  return good;
}

Parse ResponseHeadParser::feed_fields() {
  for (;;) {
    if (lines_.fresh()) [[likely]] {
      if (!take_usual_fields()) return Parse::error;
      if (lines_.take_blank(data_)) [[likely]]
        return finish();
    }
    const LineScanner::Found found = lines_.scan(data_);
    const std::string_view line = lines_.text();
    if (found != LineScanner::Found::line) {
      if (found == LineScanner::Found::partial) return Parse::need_more;
      return refuse(broken_line("upstream sent invalid header", line, line.data() + line.size()));
    }
    if (line.empty()) {
      lines_.advance();
      return finish();
    }
    if (!take_field_line(line)) return Parse::error;
    lines_.advance();
  }
}

bool ResponseHeadParser::take_line(std::string_view line, std::size_t name_size) {
  const std::string_view whole = data_.substr(lines_.start(), lines_.next() - lines_.start());
  return grammar_.take(line, name_size, whole) || explain(line, name_size);
}

bool ResponseHeadParser::take_field_line(std::string_view line) {
  const http::NameScan name = http::scan_name(line, true);
  if (name.check != http::NameCheck::bad) return take_line(line, name.size);
  if (line.starts_with(kStart)) return true;  // IIS may repeat its status line
  refuse(broken_line("upstream sent invalid header", line, line.data() + name.size));
  return false;
}

// Why a line was not taken. Always false.
bool ResponseHeadParser::explain(std::string_view line, std::size_t name_size) {
  if (grammar_.refused()) return false;
  const auto& field = head_.fields.add(line.substr(0, name_size), trim(line.substr(name_size + 1)));
  if (accept(field)) {
    const char* at = std::min(grammar_.error_at(), line.data() + line.size());
    refuse(broken_line("upstream sent invalid header", line, at));
  }
  return false;
}

// Fields that decide where the message ends: in the order and with the words of nginx.
bool ResponseHeadParser::accept(const http::HeaderField& field) {
  if (head_.fields.size() > max_fields_) return refuse_field(field);
  if (field.id == HeaderId::connection) {
    if (field.value != "keep-alive" && list_contains(field.value, "close")) head_.connection_close = true;
    return true;
  }
  if (!is_judged(field.id)) return true;
  const bool is_length = field.id == HeaderId::content_length;
  const HeaderId other = is_length ? HeaderId::transfer_encoding : HeaderId::content_length;
  if (head_.fields.find(field.id) != &field || (!both_framings_ && head_.fields.has(other))) {
    return refuse_field(field);
  }
  if (is_length) {
    head_.content_length = http::parse_content_length(field.value).value_or(-1);
    return head_.content_length >= 0 || refuse_field(field);
  }
  head_.chunked = equals_nocase(field.value, "chunked");
  return head_.chunked || refuse_field(field);
}

// Says what accept() did not like. Always false.
[[gnu::cold]] bool ResponseHeadParser::refuse_field(const http::HeaderField& field) {
  const http::HeaderField* const first = head_.fields.find(field.id);
  if (head_.fields.size() > max_fields_) {
    refuse("upstream sent too many header lines");
  } else if (first != &field) {
    refuse("upstream sent duplicate header line: " + quoted(field) + ", previous value: " + quoted(*first));
  } else if (!both_framings_ && head_.fields.has(HeaderId::content_length) &&
             head_.fields.has(HeaderId::transfer_encoding)) {
    refuse("upstream sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time");
  } else if (field.id == HeaderId::content_length) {
    refuse("upstream sent invalid \"Content-Length\" header: " + quoted(field));
  } else {
    refuse("upstream sent unknown \"Transfer-Encoding\": \"" + std::string(field.value) + '"');
  }
  return false;
}

Parse ResponseHeadParser::finish() {
  head_.raw = data_.substr(0, lines_.start());
  return Parse::complete;
}

Parse ResponseHeadParser::refuse(std::string text) {
  error_ = {502, std::move(text)};
  return Parse::error;
}

http::BodyFraming response_framing(const ResponseHead& head, bool head_request, bool connect_request) {
  using http::BodyKind;
  if (head.version == 9) return {BodyKind::until_close, -1};
  if (head.status == 101 && !head_request) return {BodyKind::until_close, -1};
  if (head_request || head.status < 200 || head.status == 204 || head.status == 304) {
    return {BodyKind::none, head.content_length};
  }
  if (connect_request && head.status < 300) return {BodyKind::until_close, -1};
  if (head.chunked) return {BodyKind::chunked, -1};
  if (head.content_length >= 0) return {BodyKind::length, head.content_length};
  return {BodyKind::until_close, -1};
}

}  // namespace mp::proto
