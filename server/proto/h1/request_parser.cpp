#include "proto/h1/request_parser.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/ascii.hpp"
#include "base/sixteen.hpp"
#include "base/strings.hpp"

namespace mp::proto {
namespace {

constexpr std::size_t kMaxEmptyBytes = 4096;  // of empty lines in front of a request
constexpr std::size_t kMaxShown = 1748;       // of a line that is too long, in the log
constexpr CharSet kMethodChars = CharSet("-_").add_range('A', 'Z');

std::string_view skip_spaces(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  return text;
}

#if MP_SIXTEEN
// The first byte from `p` on that is unwanted; `end` when there is none, null when it cannot be told: from
// `begin` to `end` there are fewer than sixteen. Bytes in front of `p` are loaded, and make no difference.
template <unsigned (*Unwanted)(sixteen::Bytes)>
[[gnu::always_inline]] inline const char* find(const char* begin, const char* p, const char* end) {
  for (; end - p >= 16; p += 16) {
    if (const unsigned hit = Unwanted(sixteen::load(p)); hit != 0) return p + std::countr_zero(hit);
  }
  const auto seen = 16 - (end - p);
  if (end - begin < 16) return nullptr;
  const unsigned hit = Unwanted(sixteen::load(end - 16)) >> seen;
  return hit != 0 ? p + std::countr_zero(hit) : end;
}
[[gnu::always_inline]] inline const char* find_name_end(const char* begin, const char* p, const char* end) {
  return find<http::not_plain>(begin, p, end);
}
[[gnu::always_inline]] inline const char* find_value_end(const char* begin, const char* p, const char* end) {
  return find<http::controls>(begin, p, end);
}
#else
const char* find_name_end(const char*, const char* p, const char* end) {
  return http::skip_plain_name(p, end);
}
const char* find_value_end(const char*, const char* p, const char* end) {
  return http::find_control(p, end);
}
#endif

// Of a text without other controls: is there a blank or a tab? What is behind it may be read up to `end`.
[[gnu::always_inline]] inline bool has_blank(std::string_view text, [[maybe_unused]] const char* end) {
#if MP_SIXTEEN
  for (std::size_t at = 0; at < text.size(); at += 16) {
    const char* const p = text.data() + at;
    const std::size_t size = std::min<std::size_t>(text.size() - at, 16);
    const sixteen::Bytes bytes = end - p >= 16 ? sixteen::load(p) : sixteen::load(p, size);
    if ((sixteen::mask(sixteen::within(bytes, 0, ' ')) & sixteen::first(size)) != 0) return true;
  }
  return false;
#else
  return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) <= ' '; });
#endif
}

}  // namespace

RequestHeadParser::RequestHeadParser(const HeadOptions& options, Arena& arena)
    : options_(options),
      arena_(arena),
      room_(options.first_buffer),
      lines_(options.bare_lf),
      head_(arena),
      grammar_(
          FieldGrammar::Kind::request, head_.fields,
          [](void* owner, const http::HeaderField& field) {
            auto* self = static_cast<RequestHeadParser*>(owner);
            if (self->head_.fields.size() > self->options_.max_fields) {
              self->error_ = {494, "client sent too many header lines"};
              return false;
            }
            if (!http::is_unique_in_request(field.id)) return true;
            return http::check_request_field(self->head_.fields, field, self->error_);
          },
          this) {}

Parse RequestHeadParser::feed(std::string_view data) {
  if (data_.data() != nullptr && data.data() != data_.data()) rebase(data.data());
  data_ = data;
  if (!line_done_) {
    if (const Parse result = feed_line(); result != Parse::complete) return result;
    line_done_ = true;
    lines_.advance();
    if (head_.version < 1000) return finish();
  }
  return take_usual_fields() ? finish() : feed_fields();
}

[[gnu::always_inline]] inline Parse RequestHeadParser::feed_line() {
  if (!started() && !skip_empty_lines()) return error_.status == 0 ? Parse::need_more : Parse::error;
  return take_usual_line() ? Parse::complete : feed_request_line();
}

// A request line of the usual form that is all there and has room. False: nothing was taken.
[[gnu::always_inline]] inline bool RequestHeadParser::take_usual_line() {
  if (!lines_.fresh()) return false;
  const char* const begin = data_.data();
  const char* const end = begin + data_.size();
  const char* const line = begin + lines_.start();
  const char* const stop = find_value_end(begin, line, end);
  if (stop == nullptr || end - stop < 2 || stop[0] != '\r' || stop[1] != '\n') return false;
  const auto size = static_cast<std::size_t>(stop - line);
  if (size + 2 > room_ || !take_plain_request_line({line, size})) return false;
  room_ -= size + 2;
  lines_.skip_to(lines_.start() + size + 2);
  return true;
}

void RequestHeadParser::rebase(const char* to) {
  if (data_.data() == nullptr || to == data_.data()) return;
  for (std::string_view* view : {&head_.method_name, &head_.request_line, &head_.protocol, &head_.scheme,
                                 &head_.authority, &head_.target, &head_.raw}) {
    shift_view(*view, data_, to);
  }
  if (head_.host) shift_view(head_.host->name, data_, to);
  shift_fields(head_.fields, data_, to);
  data_ = {to, data_.size()};
}

// RFC 9112 2.2: empty lines in front of a request line are to be ignored; some are.
inline bool RequestHeadParser::skip_empty_lines() {
  std::size_t at = lines_.start();
  if (at < data_.size() && data_[at] > '\r') {
    request_start_ = at;
    return true;
  }
  for (; at < data_.size(); ++at) {
    if (data_[at] == '\n') continue;
    if (data_[at] != '\r') break;
    if (at + 1 == data_.size()) {
      lines_.skip_to(at);
      return false;
    }
    if (data_[at + 1] != '\n') break;
    ++at;
  }
  if (at > kMaxEmptyBytes) {
    refuse_request();
    return false;
  }
  lines_.skip_to(at);
  if (at == data_.size()) return false;
  request_start_ = at;
  return true;
}

// How far a line may go before nginx's buffers would be full.
std::size_t RequestHeadParser::window() const {
  return large_used_ == options_.large_buffers ? room_ : std::max(room_, options_.large_buffer);
}

// Places a complete line into nginx's buffers: the one being filled, or else a fresh large one.
bool RequestHeadParser::take_room(std::size_t size) {
  if (size <= room_) {
    room_ -= size;
    return true;
  }
  if (size > options_.large_buffer || large_used_ == options_.large_buffers) return false;
  ++large_used_;
  room_ = options_.large_buffer - size;
  return true;
}

Parse RequestHeadParser::feed_request_line() {
  switch (lines_.scan(data_, window())) {
    case LineScanner::Found::partial: {
      const std::string_view part = data_.substr(lines_.start(), window());
      if (!method_done_ && !check_method(part.substr(0, part.find('\r')), false)) return Parse::error;
      return part.size() == window() ? too_long(true) : Parse::need_more;
    }
    case LineScanner::Found::bad:
      if (!check_method(lines_.text(), true)) return Parse::error;
      return refuse_request();
    case LineScanner::Found::line:
      break;
  }
  const std::size_t size = lines_.next() - lines_.start();
  if (take_plain_request_line(lines_.text())) return take_room(size) ? Parse::complete : too_long(true);
  if (!check_method(lines_.text(), true)) return Parse::error;
  if (!take_room(size)) return too_long(true);
  return parse_request_line(lines_.text());
}

// The usual request line: one of the usual methods, a path, HTTP/1.0 or 1.1, one blank between them. False:
// something else, of which nothing was taken.
[[gnu::always_inline]] inline bool RequestHeadParser::take_plain_request_line(std::string_view line) {
  constexpr std::string_view kVersion = " HTTP/1.";
  constexpr std::size_t kEnd = kVersion.size() + 1;
  http::Method method = http::Method::other;
  std::size_t size = 0;
  if (line.starts_with("GET ")) {
    method = http::Method::get;
    size = 3;
  } else if (line.starts_with("POST ")) {
    method = http::Method::post;
    size = 4;
  } else if (line.starts_with("HEAD ")) {
    method = http::Method::head;
    size = 4;
  }
  if (size == 0 || line.size() < size + 2 + kEnd || line[size + 1] != '/') return false;
  const char minor = line.back();
  const char* const end = line.data() + line.size();
  if ((minor != '0' && minor != '1') || std::memcmp(end - kEnd, kVersion.data(), kVersion.size()) != 0)
    return false;
  const std::string_view target(line.data() + size + 1, line.size() - size - 1 - kEnd);
  if (has_blank(target, end)) return false;
  method_size_ = size;
  method_done_ = true;
  head_.request_line = line;
  head_.method = method;
  head_.method_name = {line.data(), size};
  head_.target = target;
  head_.protocol = {end - kEnd + 1, kEnd - 1};
  head_.version = minor == '1' ? 1001 : 1000;
  return true;
}

// The method is judged as it comes, so that a client that speaks something else is told at once.
bool RequestHeadParser::check_method(std::string_view text, bool whole) {
  if (method_done_) return true;
  while (method_size_ < text.size() && kMethodChars.contains(text[method_size_])) ++method_size_;
  if (method_size_ == text.size() && !whole) return true;
  if (method_size_ == text.size() || method_size_ == 0 || text[method_size_] != ' ') {
    refuse(400, "client sent invalid method");
    return false;
  }
  method_done_ = true;
  return true;
}

Parse RequestHeadParser::parse_request_line(std::string_view line) {
  head_.request_line = line;
  head_.method_name = line.substr(0, method_size_);
  head_.method = http::parse_method(head_.method_name);

  std::string_view rest = skip_spaces(line.substr(method_size_));
  const std::string_view target = rest.substr(0, rest.find(' '));
  if (!parse_target(target)) return error_.status == 0 ? refuse_request() : Parse::error;

  rest = skip_spaces(rest.substr(target.size()));
  if (rest.empty()) {
    head_.version = 9;
    if (head_.method != http::Method::get)
      return refuse(400, "client sent invalid method in HTTP/0.9 request");
    return Parse::complete;
  }
  if (!parse_version(rest)) return error_.status == 0 ? refuse_request() : Parse::error;
  return Parse::complete;
}

bool RequestHeadParser::parse_target(std::string_view text) {
  if (text.find('\t') != std::string_view::npos) return false;
  const bool is_connect = head_.method == http::Method::connect;
  if (text.starts_with('/') && !is_connect) {
    head_.target = text;
    return true;
  }
  const auto target = http::parse_request_target(text, is_connect);
  if (!target) return false;
  head_.scheme = target->scheme;
  head_.authority = target->authority;
  head_.target = target->uri;
  head_.host = http::parse_host(arena_, target->authority);
  if (!head_.host) refuse(400, "client sent invalid host in request line");
  return head_.host.has_value();
}

// "HTTP/1.x" with one digit, blanks after it. A later minor version is answered as 1.1 (RFC 9110 6.2);
// another major version is not ours.
bool RequestHeadParser::parse_version(std::string_view text) {
  while (text.ends_with(' ')) text.remove_suffix(1);
  head_.protocol = text;
  if (!consume(text, "HTTP/")) return false;
  if (text.empty() || !is_digit(text[0]) || text[0] == '0') return false;
  const bool one = text[0] == '1' && !(text.size() > 1 && is_digit(text[1]));
  if (!one) {
    refuse(505, "client sent invalid version");
    return false;
  }
  if (text.size() != 3 || text[1] != '.' || !is_digit(text[2])) return false;
  head_.version = 1000 + (text[2] - '0');
  return true;
}

// The usual fields, `Name: value` with CR LF behind, one after the other, as long as there is nothing about
// them that takes a second look and the buffer being filled has room. True: the head ends behind them. False:
// what comes next, or the next piece of the head, is for feed_fields().
[[gnu::always_inline]] inline bool RequestHeadParser::take_usual_fields() {
  if (!lines_.fresh()) return false;
  const char* const begin = data_.data();
  const char* const end = begin + data_.size();
  const char* line = begin + lines_.start();
  const char* const most = line + std::min(room_, data_.size() - lines_.start());
  http::FieldList& fields = head_.fields;
  bool ended = false;
  for (;;) {
    if (most - line >= 2 && line[0] == '\r' && line[1] == '\n') {
      line += 2;
      ended = true;
      break;
    }
    const char* const colon = find_name_end(begin, line, end);
    if (colon == nullptr || colon == line || colon == end || *colon != ':') break;
    const char* stop = find_value_end(begin, colon + 1, end);
    if (stop == nullptr || most - stop < 2 || stop[0] != '\r' || stop[1] != '\n') break;
    const std::string_view name(line, static_cast<std::size_t>(colon - line));
    const http::HeaderId id = http::header_id(name);
    if (fields.size() == options_.max_fields || id == http::HeaderId::transfer_encoding) break;
    if (http::is_unique_in_request(id) && (id == http::HeaderId::content_length || fields.has(id))) {
      break;
    }
    const char* const at = colon + (colon[1] == ' ' ? 2 : 1);
    std::string_view value(at, static_cast<std::size_t>(stop - at));
    if (!value.empty() && (is_blank(value.front()) || is_blank(value.back()))) value = trim(value);
    fields.add(name, value, id);
    line = stop + 2;
  }
  const auto at = static_cast<std::size_t>(line - begin);
  room_ -= at - lines_.start();
  lines_.skip_to(at);
  return ended;
}

Parse RequestHeadParser::feed_fields() {
  for (;;) {
    const std::size_t start = lines_.start();
    const LineScanner::Found found = lines_.scan(data_, window());
    if (found == LineScanner::Found::partial) {
      return data_.size() - start >= window() ? too_long(false) : Parse::need_more;
    }
    if (found == LineScanner::Found::bad) {
      refuse_line(lines_.text(), lines_.text().end());
      return Parse::error;
    }
    const std::string_view line = lines_.text();
    if (!take_room(lines_.next() - start)) return too_long(false);
    if (line.empty()) {
      lines_.advance();
      return finish();
    }
    if (!take_field_line(line)) return Parse::error;
    lines_.advance();
    if (take_usual_fields()) return finish();
  }
}

bool RequestHeadParser::take_good_line(std::string_view line, std::size_t name_size) {
  const std::string_view whole = data_.substr(lines_.start(), lines_.next() - lines_.start());
  return grammar_.take(line, name_size, whole) || explain(line, name_size);
}

// Judges the name in front of the colon, then takes the line. One with an odd name may be left out.
bool RequestHeadParser::take_field_line(std::string_view line) {
  const http::NameScan name = http::scan_name(line, options_.underscores);
  switch (name.check) {
    case http::NameCheck::good:
      return take_good_line(line, name.size);
    case http::NameCheck::odd:
      if (!options_.ignore_odd_names) {
        return grammar_.run(data_.substr(lines_.start(), lines_.next() - lines_.start())) ||
               explain(line, name.size);
      }
      ignored_.push_back(
          {static_cast<std::uint32_t>(lines_.start()), static_cast<std::uint32_t>(line.size())});
      return true;
    case http::NameCheck::bad:
      break;
  }
  refuse_line(line, line.data() + name.size);
  return false;
}

// Why a line was not taken. llhttp does not take what the checks in front let through: a broken
// Content-Length, or a second one. Always false.
bool RequestHeadParser::explain(std::string_view line, std::size_t name_size) {
  if (grammar_.refused()) return false;
  const auto& field = head_.fields.add(line.substr(0, name_size), trim(line.substr(name_size + 1)));
  if (http::check_request_field(head_.fields, field, error_)) {
    refuse_line(line, std::min(grammar_.error_at(), line.data() + line.size()));
  }
  return false;
}

Parse RequestHeadParser::finish() {
  head_.raw = data_.substr(request_start_, lines_.start() - request_start_);
  if (head_.version < 1000) return Parse::complete;

  const http::FieldList& fields = head_.fields;
  const http::HeaderField* host = fields.find(http::HeaderId::host);
  if (host != nullptr) {
    const auto parsed = http::parse_host(arena_, host->value);
    if (!parsed) return refuse(400, "client sent invalid host header");
    if (!head_.host) head_.host = *parsed;
  } else if (head_.version > 1000) {
    return refuse(400, "client sent HTTP/1.1 request without \"Host\" header");
  }
  const bool framed =
      fields.has(http::HeaderId::content_length) || fields.has(http::HeaderId::transfer_encoding);
  if (framed && !http::request_framing(fields, head_.version, head_.body, error_)) return Parse::error;
  if (fields.has(http::HeaderId::connection)) head_.connection = http::connection_option(fields);
  if (head_.method == http::Method::connect) {
    if (head_.version != 1001 || !options_.allow_connect) return refuse(405, "client sent CONNECT method");
    if (head_.body.length > 0 || head_.body.kind == http::BodyKind::chunked) {
      return refuse(400, "client sent CONNECT request with body");
    }
  }
  if (head_.method == http::Method::trace) return refuse(405, "client sent TRACE method");
  return Parse::complete;
}

Parse RequestHeadParser::refuse(int status, std::string text) {
  error_ = {status, std::move(text)};
  return Parse::error;
}

void RequestHeadParser::refuse_line(std::string_view line, const char* at) {
  refuse(400, broken_line("client sent invalid header line", line, at));
}

Parse RequestHeadParser::too_long(bool request_line) {
  const std::string_view line = data_.substr(lines_.start(), window());
  if (request_line) {
    head_.request_line = line;
    return refuse(414, "client sent too long URI");
  }
  if (line.empty()) return refuse(494, "client sent too large request");
  return refuse(494,
                "client sent too long header line: \"" + std::string(line.substr(0, kMaxShown)) + "...\"");
}

}  // namespace mp::proto
