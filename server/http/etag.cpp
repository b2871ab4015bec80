#include "http/etag.hpp"

#include "base/numbers.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"

namespace mp::http {

void set_etag(Request& r) {
  if (!r.conf<CoreLocation>().etag) return;
  char text[2 * kMaxHex + 4];
  char* p = text;
  *p++ = '"';
  p = print_hex(p, static_cast<std::uint64_t>(r.out.last_modified));
  *p++ = '-';
  p = print_hex(p, static_cast<std::uint64_t>(r.out.content_length));
  *p++ = '"';
  r.out.headers.set(HeaderId::etag, r.arena.copy({text, static_cast<std::size_t>(p - text)}));
}

}  // namespace mp::http
