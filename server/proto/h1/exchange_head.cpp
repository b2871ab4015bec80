// The head of an HTTP/1 response, and what is settled with it: framing, and whether the connection is kept.
#include <charconv>
#include <cstring>

#include "base/clock.hpp"
#include "base/put.hpp"
#include "base/rarely.hpp"
#include "http/core_conf.hpp"
#include "http/redirect.hpp"
#include "http/status.hpp"
#include "proto/h1/exchange.hpp"

namespace mp::proto {
namespace {

char* put_number(char* p, std::int64_t number) {
  if (number >= 0 && number < 10) {
    *p = static_cast<char>('0' + number);
    return p + 1;
  }
  return std::to_chars(p, p + 20, number).ptr;
}

// The Location that this server made up, when the response has one.
const http::HeaderField* local_redirect(const http::Request& r) {
  const bool may_have = r.out.status == 201 || (r.out.status >= 300 && r.out.status < 400);
  if (!may_have || r.find_ctx<http::LocalRedirect>() == nullptr) [[likely]]
    return nullptr;
  return r.out.headers.find(http::HeaderId::location);
}

[[gnu::noinline]] char* put_other_status(char* p, const http::Response& out) {
  p = put(p, "HTTP/1.1 ");
  const std::string_view line = out.status_line.empty() ? http::status_line(out.status) : out.status_line;
  p = line.empty() ? put(put_number(p, out.status), " ") : put(p, line);
  return put(p, "\r\n");
}

inline char* put_status(char* p, const http::Response& out) {
  if (out.status == 200 && out.status_line.empty()) [[likely]]
    return put(p, "HTTP/1.1 200 OK\r\n");
  return put_other_status(p, out);
}

[[gnu::noinline]] char* put_charset(char* p, std::string_view charset) {
  return put(put(p, "; charset="), charset);
}

[[gnu::noinline]] char* put_last_modified(char* p, std::time_t time) {
  p = put(p, "Last-Modified: ");
  write_http_date(p, time);
  return put(p + kHttpDateSize, "\r\n");
}

[[gnu::noinline]] char* put_keep_alive(char* p, std::int64_t seconds) {
  return put(put_number(put(p, "Keep-Alive: timeout="), seconds), "\r\n");
}

// Browsers that lose a POST on a kept connection.
[[gnu::noinline]] bool is_disabled(const http::Request& r, const http::CoreLocation& core) {
  const std::uint32_t disabled = core.keepalive_disable;
  return (disabled & static_cast<std::uint32_t>(http::KeepaliveDisable::msie6)) != 0 &&
         r.in.value(http::HeaderId::user_agent).find("MSIE 6.") != std::string_view::npos;
}

[[gnu::noinline]] char* put_end_of_connection(char* p, int status) {
  return status == 101 ? put(p, "Connection: upgrade\r\n") : put(p, "Connection: close\r\n");
}

bool no_frame(int status) {
  return status == 204 || status == 304 || (status >= 100 && status < 200);
}

}  // namespace

[[gnu::always_inline]] inline void H1Exchange::decide_keepalive(http::Request& r,
                                                                const http::CoreLocation& core) {
  http::Connection& c = connection_;
  if (!r.keepalive || core.keepalive_timeout == 0 || connection_.worker().shutting_down() ||
      c.requests >= static_cast<std::uint64_t>(core.keepalive_requests.get()) ||
      fiber::now() - c.started_msec > static_cast<fiber::Msec>(core.keepalive_time.get())) [[unlikely]] {
    keepalive_ = false;
  }
  if (r.method == http::Method::post && is_disabled(r, core)) [[unlikely]]
    keepalive_ = false;
}

[[gnu::always_inline]] inline void H1Exchange::decide_framing(http::Request& r,
                                                              const http::CoreLocation& core, bool no_body) {
  decide_keepalive(r, core);
  chunked_ = false;
  promised_ = no_body ? -1 : r.out.content_length;
  if (no_body || no_frame(r.out.status) || r.out.content_length >= 0) return;
  if (r.version >= http::Version::http11 && core.chunked_transfer_encoding && r.out.chunk_allowed) {
    chunked_ = true;
  } else {
    keepalive_ = false;
  }
}

[[gnu::always_inline]] inline void H1Exchange::render_head(http::Request& r, const http::CoreLocation& core) {
  const http::Response& out = r.out;
  std::size_t room = 512 + out.status_line.size() + out.content_type.size() + out.charset.size();
  bool own_server = false, own_date = false;
  for (const http::HeaderField& f : out.headers) {
    room += f.name.size() + f.value.size() + 4;
    own_server |= f.id == http::HeaderId::server;
    own_date |= f.id == http::HeaderId::date;
  }
  char* const start = held_.reserve(r.arena, room);
  char* p = put_status(start, out);
  if (!own_server) [[likely]] {
    p = put(put(put(p, "Server: "), http::server_field(r)), "\r\n");
  }
  if (!own_date) [[likely]] {
    p = put(p, "Date: ");
    std::memcpy(p, clock().http_date().data(), kHttpDateSize);
    p = put(p + kHttpDateSize, "\r\n");
  }
  if (!out.content_type.empty()) {
    p = put(put(p, "Content-Type: "), out.content_type);
    if (!out.charset.empty()) [[unlikely]]
      p = put_charset(p, out.charset);
    p = put(p, "\r\n");
  }
  if (out.content_length >= 0 && out.status != 204 && out.status >= 200) {
    p = put(put_number(put(p, "Content-Length: "), out.content_length), "\r\n");
  }
  if (out.last_modified >= 0) {
    p = put_last_modified(p, out.last_modified);
  }
  const http::HeaderField* location = local_redirect(r);
  if (location != nullptr) [[unlikely]]
    p = put(put(put(p, "Location: "), location->value), "\r\n");
  if (chunked_) p = put(p, "Transfer-Encoding: chunked\r\n");
  if (keepalive_ && out.status != 101) [[likely]] {
    p = put(p, "Connection: keep-alive\r\n");
    const auto seconds = static_cast<std::int64_t>(core.keepalive_header.get());
    if (seconds > 0) [[unlikely]]
      p = put_keep_alive(p, seconds);
  } else {
    p = put_end_of_connection(p, out.status);
  }
  for (const http::HeaderField& f : out.headers) {
    // An empty one of these two stands for none at all.
    if (f.value.empty() && (f.id == http::HeaderId::server || f.id == http::HeaderId::date)) continue;
    if (&f == location) continue;
    p = put(put(put(put(p, f.name), ": "), f.value), "\r\n");
  }
  p = put(p, "\r\n");
  held_.filled(static_cast<std::size_t>(p - start));
  head_bytes_ += static_cast<std::size_t>(p - start);
}

std::size_t H1Exchange::hold_limit(const http::CoreLocation& core) {
  const auto& wanted = core.postpone_output;
  return wanted.is_set() ? static_cast<std::size_t>(wanted) : kCopyLimit;
}

bool H1Exchange::can_hold_head() const {
  // There is none of a request that was refused.
  return !failed_ && request_ != nullptr && hold_limit(request_->conf<http::CoreLocation>()) >= kCopyLimit;
}

bool H1Exchange::send_head(http::Request& r, bool no_body) {
  if (failed_) return false;
  const auto& core = r.conf<http::CoreLocation>();
  decide_framing(r, core, no_body);
  hold_limit_ = hold_limit(core);
  if (r.version == http::Version::http09) [[unlikely]] {
    rarely();
    keepalive_ = false;
    chunked_ = false;
    return true;
  }
  render_head(r, core);
  // Where much may be held, a head always is: can_hold_head() has said so.
  return hold_limit_ >= kCopyLimit || held_.size() < hold_limit_ || flush(r);
}

bool H1Exchange::send_informational(http::Request& r, int status) {
  if (status == 100) continue_wanted_ = false;
  if (r.version < http::Version::http11) return true;
  std::string_view line = status == 100 ? "HTTP/1.1 100 Continue\r\n" : "HTTP/1.1 103 Early Hints\r\n";
  std::string text(line);
  if (status == 103) {
    for (const http::HeaderField& f : r.out.headers)
      text.append(f.name).append(": ").append(f.value).append("\r\n");
  }
  text.append("\r\n");
  const auto timeout = static_cast<fiber::Msec>(r.conf<http::CoreLocation>().send_timeout.get());
  const net::Io io = connection_.socket.write(text, timeout);
  head_bytes_ += io.bytes;
  return io.ok() || fail(r, io);
}

}  // namespace mp::proto
