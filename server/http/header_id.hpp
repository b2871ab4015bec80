// HeaderId: a small number for every field name that Moonphase itself looks at, so that code compares
// and switches on an enum instead of on text. The parsers put it into each HeaderField; anything else
// (Lua, configuration) asks header_id(). Names are compared without regard to case.
// Everything here is constant data: no ownership, safe from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mp::http {

// One row per name: enumerator, canonical spelling. The order is part of nothing; add rows anywhere.
#define MP_HTTP_HEADERS(X)                                          \
  X(accept, "Accept")                                               \
  X(accept_charset, "Accept-Charset")                               \
  X(accept_encoding, "Accept-Encoding")                             \
  X(accept_language, "Accept-Language")                             \
  X(accept_ranges, "Accept-Ranges")                                 \
  X(access_control_allow_origin, "Access-Control-Allow-Origin")     \
  X(access_control_request_method, "Access-Control-Request-Method") \
  X(age, "Age")                                                     \
  X(allow, "Allow")                                                 \
  X(alt_svc, "Alt-Svc")                                             \
  X(authorization, "Authorization")                                 \
  X(cache_control, "Cache-Control")                                 \
  X(connection, "Connection")                                       \
  X(content_disposition, "Content-Disposition")                     \
  X(content_encoding, "Content-Encoding")                           \
  X(content_language, "Content-Language")                           \
  X(content_length, "Content-Length")                               \
  X(content_location, "Content-Location")                           \
  X(content_md5, "Content-MD5")                                     \
  X(content_range, "Content-Range")                                 \
  X(content_type, "Content-Type")                                   \
  X(cookie, "Cookie")                                               \
  X(date, "Date")                                                   \
  X(depth, "Depth")                                                 \
  X(destination, "Destination")                                     \
  X(early_data, "Early-Data")                                       \
  X(etag, "ETag")                                                   \
  X(expect, "Expect")                                               \
  X(expires, "Expires")                                             \
  X(forwarded, "Forwarded")                                         \
  X(from, "From")                                                   \
  X(host, "Host")                                                   \
  X(http2_settings, "HTTP2-Settings")                               \
  X(if_match, "If-Match")                                           \
  X(if_modified_since, "If-Modified-Since")                         \
  X(if_none_match, "If-None-Match")                                 \
  X(if_range, "If-Range")                                           \
  X(if_unmodified_since, "If-Unmodified-Since")                     \
  X(keep_alive, "Keep-Alive")                                       \
  X(last_modified, "Last-Modified")                                 \
  X(link, "Link")                                                   \
  X(location, "Location")                                           \
  X(lock_token, "Lock-Token")                                       \
  X(max_forwards, "Max-Forwards")                                   \
  X(origin, "Origin")                                               \
  X(overwrite, "Overwrite")                                         \
  X(p3p, "P3P")                                                     \
  X(pragma, "Pragma")                                               \
  X(proxy_authenticate, "Proxy-Authenticate")                       \
  X(proxy_authorization, "Proxy-Authorization")                     \
  X(proxy_connection, "Proxy-Connection")                           \
  X(range, "Range")                                                 \
  X(referer, "Referer")                                             \
  X(refresh, "Refresh")                                             \
  X(retry_after, "Retry-After")                                     \
  X(sec_websocket_accept, "Sec-WebSocket-Accept")                   \
  X(sec_websocket_extensions, "Sec-WebSocket-Extensions")           \
  X(sec_websocket_key, "Sec-WebSocket-Key")                         \
  X(sec_websocket_protocol, "Sec-WebSocket-Protocol")               \
  X(sec_websocket_version, "Sec-WebSocket-Version")                 \
  X(server, "Server")                                               \
  X(set_cookie, "Set-Cookie")                                       \
  X(status, "Status")                                               \
  X(strict_transport_security, "Strict-Transport-Security")         \
  X(te, "TE")                                                       \
  X(timeout, "Timeout")                                             \
  X(trailer, "Trailer")                                             \
  X(transfer_encoding, "Transfer-Encoding")                         \
  X(upgrade, "Upgrade")                                             \
  X(user_agent, "User-Agent")                                       \
  X(vary, "Vary")                                                   \
  X(via, "Via")                                                     \
  X(warning, "Warning")                                             \
  X(www_authenticate, "WWW-Authenticate")                           \
  X(x_accel_buffering, "X-Accel-Buffering")                         \
  X(x_accel_charset, "X-Accel-Charset")                             \
  X(x_accel_expires, "X-Accel-Expires")                             \
  X(x_accel_limit_rate, "X-Accel-Limit-Rate")                       \
  X(x_accel_redirect, "X-Accel-Redirect")                           \
  X(x_forwarded_for, "X-Forwarded-For")                             \
  X(x_forwarded_host, "X-Forwarded-Host")                           \
  X(x_forwarded_proto, "X-Forwarded-Proto")                         \
  X(x_pad, "X-Pad")                                                 \
  X(x_powered_by, "X-Powered-By")                                   \
  X(x_real_ip, "X-Real-IP")                                         \
  X(x_request_id, "X-Request-ID")

enum class HeaderId : std::uint8_t {
  unknown = 0,
#define MP_HTTP_HEADER_ENUM(id, text) id,
  MP_HTTP_HEADERS(MP_HTTP_HEADER_ENUM)
#undef MP_HTTP_HEADER_ENUM
      count_
};

inline constexpr std::size_t kHeaderIdCount = static_cast<std::size_t>(HeaderId::count_);

// The id of a field name in any case; HeaderId::unknown when it is none of the list.
HeaderId header_id(std::string_view name);

// Canonical ("Content-Length") and lower-case ("content-length") spelling; empty for unknown.
std::string_view header_name(HeaderId id);
std::string_view header_name_lower(HeaderId id);

// Fields that concern one connection only and are never forwarded as they are (RFC 9110 7.6.1).
constexpr bool is_hop_by_hop(HeaderId id) {
  switch (id) {
    case HeaderId::connection:
    case HeaderId::keep_alive:
    case HeaderId::proxy_authenticate:
    case HeaderId::proxy_authorization:
    case HeaderId::proxy_connection:
    case HeaderId::te:
    case HeaderId::trailer:
    case HeaderId::transfer_encoding:
    case HeaderId::upgrade:
    case HeaderId::http2_settings:
      return true;
    default:
      return false;
  }
}

// Request fields that nginx refuses with 400 when they come twice.
constexpr bool is_unique_in_request(HeaderId id) {
  switch (id) {
    case HeaderId::host:
    case HeaderId::if_modified_since:
    case HeaderId::if_unmodified_since:
    case HeaderId::if_match:
    case HeaderId::if_none_match:
    case HeaderId::content_length:
    case HeaderId::content_range:
    case HeaderId::if_range:
    case HeaderId::transfer_encoding:
    case HeaderId::expect:
    case HeaderId::authorization:
    case HeaderId::proxy_authorization:
      return true;
    default:
      return false;
  }
}

// One received field: views into the buffer it was parsed from, which must outlive it.
struct HeaderField {
  std::string_view name;   // as sent
  std::string_view value;  // without surrounding whitespace
  HeaderId id = HeaderId::unknown;
};

}  // namespace mp::http
