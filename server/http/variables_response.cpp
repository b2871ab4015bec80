// Variables of the response and of time.
#include <array>

#include "base/clock.hpp"
#include "base/numbers.hpp"
#include "http/core_conf.hpp"
#include "http/core_variables.hpp"
#include "http/joined_fields.hpp"
#include "http/request.hpp"

namespace mp::http {
namespace {

std::string_view text_of(Request& r, const char* begin, const char* end) {
  return r.arena.copy({begin, static_cast<std::size_t>(end - begin)});
}

Value number_value(Request& r, std::int64_t number) {
  char text[kMaxDecimal];
  return Value::volatile_(text_of(r, text, print(text, number)));
}

Value milliseconds_value(Request& r, std::int64_t ms) {
  char text[kMaxDecimal + 2];
  return Value::volatile_(text_of(r, text, print_fixed(text, ms, 3)));
}

Value sent_field(Request& r, const Variable& v) {
  const std::string_view name = v.name.substr(10);
  const Response& out = r.out;
  if (name == "content_type") {
    if (out.content_type.empty()) return Value::none();
    if (out.charset.empty()) return Value::of(out.content_type);
    return Value::of(r.arena.concat(out.content_type, "; charset=", out.charset));
  }
  if (name == "content_length" && out.content_length >= 0) return number_value(r, out.content_length);
  if (name == "last_modified" && out.last_modified >= 0) {
    char date[kHttpDateSize];
    write_http_date(date, out.last_modified);
    return Value::of(r.arena.copy({date, kHttpDateSize}));
  }
  if (name == "connection") {
    if (out.status == 101) return Value::of("upgrade");
    const bool keep = r.exchange != nullptr && r.keepalive && r.exchange->keepalive();
    return Value::of(keep ? "keep-alive" : "close");
  }
  if (name == "keep_alive") {
    const std::int64_t seconds = r.conf<CoreLocation>().keepalive_header.get();
    if (seconds == 0 || r.exchange == nullptr || !r.keepalive || !r.exchange->keepalive()) {
      return Value::none();
    }
    return Value::of(r.arena.concat("timeout=", number_value(r, seconds).text));
  }
  if (name == "transfer_encoding") {
    const bool chunked = r.head_sent && out.content_length < 0 && !r.header_only && out.chunk_allowed &&
                         r.version == Version::http11 && r.conf<CoreLocation>().chunked_transfer_encoding;
    return chunked ? Value::of("chunked") : Value::none();
  }
  return joined_fields(out.headers, name);
}

// The numbers below a thousand, each with three digits.
constexpr auto kThreeDigits = [] {
  std::array<char, 3000> digits{};
  for (std::size_t n = 0; n < 1000; ++n) {
    digits[3 * n] = static_cast<char>('0' + n / 100);
    digits[3 * n + 1] = static_cast<char>('0' + n / 10 % 10);
    digits[3 * n + 2] = static_cast<char>('0' + n % 10);
  }
  return digits;
}();

// A script may answer with anything.
[[gnu::cold, gnu::noinline]] Value odd_status(Request& r, int code) {
  return number_value(r, code);
}

Value status(Request& r, const Variable&) {
  int code = r.error_status != 0 ? r.error_status : r.out.status;
  if (r.out.status == kClientClosedRequest || r.out.status == kCloseConnection) code = r.out.status;
  if (code == 0) code = r.version == Version::http09 ? 9 : 0;
  if (code < 0 || code > 999) [[unlikely]]
    return odd_status(r, code);
  return Value::volatile_({kThreeDigits.data() + 3 * static_cast<std::size_t>(code), 3});
}

constexpr Variable kResponseVariables[] = {
    {.name = "sent_http_", .get = sent_field, .cacheable = false, .prefix = true},
    {.name = "sent_trailer_",
     .get = [](Request& r, const Variable& v) { return joined_fields(r.out.trailers, v.name.substr(13)); },
     .cacheable = false,
     .prefix = true},
    {.name = "status", .get = status, .cacheable = false},
    {.name = "bytes_sent",
     .get = [](Request& r,
               const Variable&) { return number_value(r, static_cast<std::int64_t>(r.main->sent)); },
     .cacheable = false},
    {.name = "body_bytes_sent",
     .get = [](Request& r,
               const Variable&) { return number_value(r, static_cast<std::int64_t>(r.main->body_sent)); },
     .cacheable = false},
    {.name = "request_completion",
     .get =
         [](Request& r, const Variable&) {
           return Value::volatile_(r.main->finished && !r.main->aborted ? "OK" : "");
         },
     .cacheable = false},
    {.name = "pipe",
     .get = [](Request& r, const Variable&) { return Value::of(r.main->pipelined ? "p" : "."); }},
    {.name = "request_time",
     .get =
         [](Request& r, const Variable&) {
           return milliseconds_value(
               r, static_cast<std::int64_t>(clock().monotonic_ms() - r.main->start_monotonic));
         },
     .cacheable = false},
    {.name = "msec",
     .get = [](Request& r,
               const Variable&) { return milliseconds_value(r, clock().seconds() * 1000 + clock().msec()); },
     .cacheable = false},
    {.name = "time_iso8601",
     .get = [](Request& r, const Variable&) { return Value::volatile_(r.arena.copy(clock().iso8601())); },
     .cacheable = false},
    {.name = "time_local",
     .get = [](Request& r, const Variable&) { return Value::volatile_(r.arena.copy(clock().clf_time())); },
     .cacheable = false},
};

}  // namespace

void define_response_variables(VariableTable& table) {
  table.define(kResponseVariables);
}

void define_core_variables(VariableTable& table) {
  define_request_variables(table);
  define_connection_variables(table);
  define_response_variables(table);
}

}  // namespace mp::http
