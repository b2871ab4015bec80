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
// A blank or any control, tabs included.
inline unsigned ends_path(sixteen::Bytes bytes) {
  return sixteen::mask(sixteen::either(sixteen::within(bytes, 0, ' '), sixteen::is(bytes, 0x7f)));
}
[[gnu::always_inline]] inline const char* find_path_end(const char* begin, const char* p, const char* end) {
  return find<ends_path>(begin, p, end);
}
#else
const char* find_name_end(const char*, const char* p, const char* end) {
  return http::skip_plain_name(p, end);
}
const char* find_value_end(const char*, const char* p, const char* end) {
  return http::find_control(p, end);
}
const char* find_path_end(const char*, const char* p, const char* end) {
  return std::find_if(p, end, [](char c) { return c == ' ' || is_control(c); });
}
#endif

// Of a value with more than the one in front.
[[gnu::cold, gnu::noinline]] std::string_view without_blanks(std::string_view value) {
  return trim(value);
}

inline bool is_line_end(const char* p) {
  return std::memcmp(p, "\r\n", 2) == 0;
}

struct UsualMethod {
  http::Method method;
  std::size_t size;  // 0: another one
};
[[gnu::noinline]] UsualMethod other_usual_method(std::string_view line) {
  if (line.starts_with("POST ")) return {http::Method::post, 4};
  if (line.starts_with("HEAD ")) return {http::Method::head, 4};
  return {http::Method::other, 0};
}
[[gnu::always_inline]] inline UsualMethod usual_method(std::string_view line) {
  if (line.starts_with("GET ")) return {http::Method::get, 3};
  return other_usual_method(line);
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
  if (data_.data() != nullptr && data.data() != data_.data()) [[unlikely]]
    rebase(data.data());
  data_ = data;
  if (!line_done_) [[likely]] {
    if (const Parse result = feed_line(); result != Parse::complete) [[unlikely]]
      return result;
    line_done_ = true;
    lines_.advance();
  }
  if (head_.version >= 1000 && !take_usual_fields()) [[unlikely]] {
    if (const Parse result = feed_fields(); result != Parse::complete) return result;
  }
  return finish();
}

[[gnu::always_inline]] inline Parse RequestHeadParser::feed_line() {
  if (!started() && !find_line()) [[unlikely]]
    return error_.status == 0 ? Parse::need_more : Parse::error;
  if (take_usual_line()) [[likely]]
    return Parse::complete;
  return feed_request_line();
}

// The usual request line, all of it there and with room for it: one of the usual methods, a path, HTTP/1.0 or
// 1.1, one blank between them, CR LF. False: something else, of which nothing was taken.
[[gnu::always_inline]] inline bool RequestHeadParser::take_usual_line() {
  constexpr std::string_view kVersion = " HTTP/1.";
  constexpr std::size_t kEnd = kVersion.size() + 3;  // with the minor version and CR LF
  if (!lines_.fresh()) return false;
  const char* const begin = data_.data();
  const char* const end = begin + data_.size();
  const char* const line = begin + lines_.start();
  const UsualMethod method = usual_method(data_.substr(lines_.start()));
  if (method.size == 0) return false;
  const char* const target = line + method.size + 1;
  const char* const stop = find_path_end(begin, target, end);
  if (stop == nullptr || static_cast<std::size_t>(end - stop) < kEnd || *target != '/') return false;
  if (std::memcmp(stop, kVersion.data(), kVersion.size()) != 0) return false;
  const char minor = stop[kVersion.size()];
  const char* const line_end = stop + kVersion.size() + 1;
  if ((minor != '0' && minor != '1') || !is_line_end(line_end)) return false;
  const auto size = static_cast<std::size_t>(line_end - line);
  if (size + 2 > room_) return false;
  room_ -= size + 2;
  lines_.skip_to(lines_.start() + size + 2);
  method_size_ = method.size;
  method_done_ = true;
  head_.request_line = {line, size};
  head_.method = method.method;
  head_.method_name = {line, method.size};
  head_.target = {target, static_cast<std::size_t>(stop - target)};
  head_.protocol = {stop + 1, static_cast<std::size_t>(line_end - stop - 1)};
  head_.version = 1000 + (minor - '0');
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

// False: there is none yet, or none that may be.
[[gnu::always_inline]] inline bool RequestHeadParser::find_line() {
  const std::size_t at = lines_.start();
  if (at >= data_.size() || data_[at] <= '\r') [[unlikely]]
    return skip_empty_lines();
  request_start_ = at;
  return true;
}

// RFC 9112 2.2: empty lines in front of a request line are to be ignored; some are.
bool RequestHeadParser::skip_empty_lines() {
  std::size_t at = lines_.start();
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
  if (!check_method(lines_.text(), true)) return Parse::error;
  if (!take_room(size)) return too_long(true);
  return parse_request_line(lines_.text());
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
    if (most - line >= 2 && is_line_end(line)) {
      line += 2;
      ended = true;
      break;
    }
    const char* const colon = find_name_end(begin, line, end);
    if (colon == nullptr || colon == line || colon == end || *colon != ':') break;
    const char* stop = find_value_end(begin, colon + 1, end);
    if (stop == nullptr || most - stop < 2 || !is_line_end(stop)) break;
    const std::string_view name(line, static_cast<std::size_t>(colon - line));
    const http::HeaderId id = http::header_id(name);
    if (fields.size() == options_.max_fields || id == http::HeaderId::transfer_encoding) break;
    if (http::is_unique_in_request(id) && (id == http::HeaderId::content_length || fields.has(id))) {
      break;
    }
    const char* const at = colon + (colon[1] == ' ' ? 2 : 1);
    std::string_view value(at, static_cast<std::size_t>(stop - at));
    if (!value.empty() && (is_blank(value.front()) || is_blank(value.back()))) [[unlikely]]
      value = without_blanks(value);
    fields.add(name, value, id);
    line = stop + 2;
  }
  const auto at = static_cast<std::size_t>(line - begin);
  room_ -= at - lines_.start();
  lines_.skip_to(at);
  return ended;
}

// Complete: all fields were read.
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
    if (!line.empty() && !take_field_line(line)) return Parse::error;
    lines_.advance();
    if (line.empty() || take_usual_fields()) return Parse::complete;
  }
}

bool RequestHeadParser::take_line(std::string_view line, std::size_t name_size) {
  const std::string_view whole = data_.substr(lines_.start(), lines_.next() - lines_.start());
  return grammar_.take(line, name_size, whole) || explain(line, name_size);
}

// Judges the name in front of the colon, then takes the line. One with an odd name may be left out.
bool RequestHeadParser::take_field_line(std::string_view line) {
  const http::NameScan name = http::scan_name(line, options_.underscores);
  switch (name.check) {
    case http::NameCheck::good:
      return take_line(line, name.size);
    case http::NameCheck::odd:
      if (!options_.ignore_odd_names) return take_line(line, name.size);
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

[[gnu::always_inline]] inline Parse RequestHeadParser::finish() {
  head_.raw = data_.substr(request_start_, lines_.start() - request_start_);
  if (head_.version < 1000) return Parse::complete;

  const http::FieldList& fields = head_.fields;
  const http::HeaderField* host = fields.find(http::HeaderId::host);
  if (host != nullptr) [[likely]] {
    const auto parsed = http::parse_host(arena_, host->value);
    if (!parsed) [[unlikely]]
      return refuse(400, "client sent invalid host header");
    if (!head_.host) head_.host = *parsed;
  } else if (head_.version > 1000) [[unlikely]] {
    return refuse(400, "client sent HTTP/1.1 request without \"Host\" header");
  }
  const bool usual_method = head_.method != http::Method::connect && head_.method != http::Method::trace;
  const bool usual_fields = !fields.has(http::HeaderId::content_length) &&
                            !fields.has(http::HeaderId::transfer_encoding) &&
                            !fields.has(http::HeaderId::connection);
  return usual_method && usual_fields ? Parse::complete : finish_unusual();
}

// The same for fields that say where the request or the connection ends, and for methods that not everyone
// takes.
[[gnu::noinline]] Parse RequestHeadParser::finish_unusual() {
  const http::FieldList& fields = head_.fields;
  const bool framed =
      fields.has(http::HeaderId::content_length) || fields.has(http::HeaderId::transfer_encoding);
  if (framed && !http::request_framing(fields, head_.version, head_.body, error_)) [[unlikely]]
    return Parse::error;
  if (fields.has(http::HeaderId::connection)) head_.connection = http::connection_option(fields);
  if (head_.method == http::Method::connect) [[unlikely]] {
    if (head_.version != 1001 || !options_.allow_connect) return refuse(405, "client sent CONNECT method");
    if (head_.body.length > 0 || head_.body.kind == http::BodyKind::chunked) {
      return refuse(400, "client sent CONNECT request with body");
    }
  }
  if (head_.method == http::Method::trace) [[unlikely]]
    return refuse(405, "client sent TRACE method");
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
