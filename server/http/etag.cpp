#include "http/etag.hpp"

#include "base/numbers.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"

namespace mp::http {

void set_etag(Request& r) {
  if (!r.conf<CoreLocation>().etag) return;
  char text[kMaxEtag];
  const char* const end = write_etag(text, r.out.last_modified, r.out.content_length);
  r.out.headers.set(HeaderId::etag, r.arena.copy({text, static_cast<std::size_t>(end - text)}));
}

char* write_etag(char* out, std::int64_t last_modified, std::int64_t size) {
  *out++ = '"';
  out = print_hex(out, static_cast<std::uint64_t>(last_modified));
  *out++ = '-';
  out = print_hex(out, static_cast<std::uint64_t>(size));
  *out++ = '"';
  return out;
}

}  // namespace mp::http
