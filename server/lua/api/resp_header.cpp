// ngx.header and ngx.resp: the fields of the response head.
#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/ascii.hpp"
#include "base/clock.hpp"
#include "base/escape.hpp"
#include "base/strings.hpp"
#include "http/request.hpp"
#include "http/strict.hpp"
#include "lua/api.hpp"
#include "lua/api/field.hpp"
#include "lua/conf.hpp"
#include "lua/output.hpp"
#include "lua/sched/detached.hpp"

namespace mp::lua {
namespace {

using http::HeaderField;
using http::HeaderId;

// Whether two names are of one field. Those that are not differ at their ends more often than in front.
inline bool same_name(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  if (!a.empty() && ((a.back() ^ b.back()) & ~0x20) != 0) return false;
  return equals_nocase(a, b);
}

// The name of a field as scripts write it: underscores may stand for hyphens.
std::string_view field_name(Request& r, std::string_view name) {
  if (!r.conf<LuaLocation>().transform_underscores || name.find('_') == std::string_view::npos) return name;
  char* text = r.arena.bytes(name.size());
  for (std::size_t i = 0; i < name.size(); ++i) text[i] = name[i] == '_' ? '-' : name[i];
  return {text, name.size()};
}

// The field that a script has written so, without a value; what would end its name is escaped. Known names
// have neither that nor underscores.
HeaderField field_of(Request& r, std::string_view written) {
  const std::string_view copy = r.arena.copy(written);
  if (const HeaderId id = http::header_id(copy); id != HeaderId::unknown) return {copy, {}, id};
  const std::string_view name = field_name(r, copy);
  if (!is_token(name)) return {escape_uri(r.arena, name, UriEscape::lua_header_name), {}, HeaderId::unknown};
  return {name, {}, name.data() == copy.data() ? HeaderId::unknown : http::header_id(name)};
}

[[gnu::noinline]] std::string_view any_value_of(Request& r, std::string_view written) {
  const std::string_view value = r.arena.copy(written);
  return http::is_field_value(value) ? value : escape_uri(r.arena, value, UriEscape::lua_header_value);
}

// A value in the request's arena; what would end the field is escaped.
inline std::string_view value_of(Request& r, std::string_view written) {
#if MP_SIXTEEN
  if (written.size() <= sizeof(sixteen::Bytes)) [[likely]] {
    const sixteen::Bytes bytes = sixteen::load(written.data(), written.size());
    if ((http::controls(bytes) & sixteen::first(written.size())) == 0) [[likely]] {
      char* const copy = r.arena.bytes(sizeof bytes);
      std::memcpy(copy, &bytes, sizeof bytes);
      return {copy, written.size()};
    }
  }
#endif
  return any_value_of(r, written);
}

// Fields that there is one of at most: a second value takes the place of the first.
bool is_single(HeaderId id) {
  switch (id) {
    case HeaderId::server:
    case HeaderId::date:
    case HeaderId::content_encoding:
    case HeaderId::location:
    case HeaderId::refresh:
    case HeaderId::content_range:
    case HeaderId::accept_ranges:
    case HeaderId::expires:
    case HeaderId::etag:
      return true;
    default:
      return false;
  }
}

bool set_content_length(Request& r, std::string_view value) {
  if (value.empty()) {
    r.out.content_length = -1;
    return true;
  }
  std::int64_t length = -1;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
  if (error != std::errc() || end != value.data() + value.size() || length < 0) return false;
  r.out.content_length = length;
  return true;
}

void set_last_modified(Request& r, std::string_view value) {
  r.out.headers.remove(HeaderId::last_modified);
  r.out.last_modified = value.empty() ? -1 : parse_http_date(value).value_or(-1);
  if (!value.empty() && r.out.last_modified < 0) r.out.headers.add(HeaderId::last_modified, value);
}

// A local redirect is sent as it is: without an id the field is not made absolute.
void set_location(Request& r, std::string_view value) {
  r.out.headers.remove(HeaderId::location);
  for (HeaderField& field : r.out.headers) {
    if (field.id == HeaderId::unknown && equals_nocase(field.name, "Location")) field.id = HeaderId::location;
  }
  r.out.headers.remove(HeaderId::location);
  if (value.empty()) return;
  r.out.headers.add({"Location", value, value.front() == '/' ? HeaderId::unknown : HeaderId::location});
}

inline bool same_field(const HeaderField& a, const HeaderField& b) {
  return a.id == b.id && (a.id != HeaderId::unknown || same_name(a.name, b.name));
}

// Puts `field` in the place of `first`, which has its name, and takes all others of this name away.
[[gnu::noinline]] void replace_all(http::Headers& headers, HeaderField* first, const HeaderField& field) {
  const auto same = [&field](const HeaderField& f) { return same_field(f, field); };
  if (std::any_of(first + 1, headers.end(), same)) headers.set(field.name, field.value);
  *first = field;
}

// Makes `field` the only one of its name.
[[gnu::always_inline]] inline void set_only(http::Headers& headers, const HeaderField& field) {
  for (HeaderField& f : headers) {
    if (same_field(f, field)) [[unlikely]]
      return replace_all(headers, &f, field);
  }
  headers.add(field);
}

// Sets or adds one value; an empty one removes the field. False when it makes no sense.
bool set_field(Request& r, RequestData& data, const HeaderField& field, bool replace) {
  const std::string_view value = field.value;
  switch (field.id) {
    case HeaderId::content_type:
      r.out.content_type = value;
      r.out.charset = {};
      data.content_type_set = true;
      return true;
    case HeaderId::content_length:
      return set_content_length(r, value);
    case HeaderId::last_modified:
      set_last_modified(r, value);
      return true;
    case HeaderId::location:
      set_location(r, value);
      return true;
    case HeaderId::server:
    case HeaderId::date:
      // Removed means that none is sent, not even the server's own.
      r.out.headers.set(field.id, value);
      return true;
    default:
      break;
  }
  if (value.empty() && replace) {
    r.out.headers.remove(field.name);
  } else if (replace || is_single(field.id)) {
    set_only(r.out.headers, field);
  } else {
    r.out.headers.add(field);
  }
  return true;
}

std::string_view number_text(Request& r, std::int64_t number) {
  return r.arena.copy(std::to_string(number));
}

std::string_view date_text(Request& r, std::time_t time) {
  char* text = r.arena.bytes(kHttpDateSize);
  write_http_date(text, time);
  return {text, kHttpDateSize};
}

std::string_view connection_text(const Request& r) {
  if (r.out.status == 101) return "upgrade";
  return r.keepalive ? "keep-alive" : "close";
}

std::string_view type_text(Request& r) {
  if (r.out.charset.empty() || r.out.content_type.empty()) return r.out.content_type;
  return r.arena.concat(r.out.content_type, "; charset=", r.out.charset);
}

// The value of a field that is kept apart from the list, or empty.
std::string_view special_value(Request& r, HeaderId id) {
  switch (id) {
    case HeaderId::content_type:
      return type_text(r);
    case HeaderId::content_length:
      return r.out.content_length >= 0 ? number_text(r, r.out.content_length) : std::string_view();
    case HeaderId::last_modified:
      return r.out.last_modified >= 0 ? date_text(r, r.out.last_modified) : std::string_view();
    case HeaderId::connection:
      return connection_text(r);
    case HeaderId::transfer_encoding:
      return r.head_sent && !r.header_only && r.out.content_length < 0 && r.version == http::Version::http11
                 ? std::string_view("chunked")
                 : std::string_view();
    default:
      return {};
  }
}

int usable_request(Request*& r) {
  r = request();
  if (r == nullptr) return kNoRequest;
  return is_detached(*r) ? kBadContext : kOk;
}

[[gnu::cold]] int refuse_late(const Request& r) {
  log::error(r.logger, "attempt to set ngx.header.HEADER after sending out response headers");
  return kDeclined;
}

}  // namespace

extern const Group kRespHeaderGroup = {"resp_header", {}};

}  // namespace mp::lua

using namespace mp::lua;

extern "C" {

// Sets the field to `count` values, or adds them when `replace` is 0. No value removes it. kDeclined: the
// head was sent already, which was logged. kError: the value makes no sense.
int mp_resp_header_set(const char* name, std::size_t size, const Str* values, int count, int replace) {
  Request* r;
  if (const int rc = usable_request(r); rc != kOk) return rc;
  RequestData* data = request_data(*r);
  if (data == nullptr) return kNoRequest;
  if (headers_sent(*r, *data)) return refuse_late(*r);
  HeaderField field = field_of(*r, view(name, size));
  data->headers_set = true;
  if (count == 0) return set_field(*r, *data, field, true) ? kOk : kError;
  for (int i = 0; i < count; ++i) {
    field.value = value_of(*r, view(values[i].data, values[i].size));
    if (!set_field(*r, *data, field, replace != 0 && i == 0)) return kError;
  }
  return kOk;
}

// A field's name that needs no change, with its id.
struct mp_field_name {
  Str name;
  int id;
};

// Fills `out` when the name is such a one; else kDeclined.
int mp_resp_header_name(const char* name, std::size_t size, mp_field_name* out) {
  const std::string_view text = view(name, size);
  if (text.find('_') != std::string_view::npos || !mp::is_token(text)) return kDeclined;
  *out = {str(text), static_cast<int>(mp::http::header_id(text))};
  return kOk;
}

// As mp_resp_header_set() with one value, for a name that stays where it is as long as there are requests.
int mp_resp_header_put(const mp_field_name* name, const char* value, std::size_t size) {
  Request* r;
  if (const int rc = usable_request(r); rc != kOk) return rc;
  RequestData* data = request_data(*r);
  if (data == nullptr) return kNoRequest;
  if (headers_sent(*r, *data)) return refuse_late(*r);
  data->headers_set = true;
  const HeaderField field{view(name->name.data, name->name.size), value_of(*r, view(value, size)),
                          static_cast<HeaderId>(name->id)};
  if (field.id != HeaderId::unknown || size == 0) return set_field(*r, *data, field, true) ? kOk : kError;
  set_only(r->out.headers, field);
  return kOk;
}

// How many header fields there are, at most `max` of them in `out` (names in lower case unless `raw`).
int mp_resp_headers(mp_field* out, int max, int raw, Str* before) {
  Request* r;
  if (const int rc = usable_request(r); rc != kOk) return rc;
  int count = 0;
  const auto add = [&](const mp_field& field) {
    if (count < max) out[count] = field;
    ++count;
  };
  constexpr HeaderId kSpecial[] = {HeaderId::content_type, HeaderId::content_length, HeaderId::connection,
                                   HeaderId::transfer_encoding, HeaderId::last_modified};
  for (HeaderId id : kSpecial) {
    const std::string_view value = special_value(*r, id);
    if (value.empty()) continue;
    const bool as_written = raw != 0 && id == HeaderId::last_modified;
    add(as_written ? text_field(mp::http::header_name(id), value) : known_field(id, value, before));
  }
  for (const HeaderField& field : r->out.headers) {
    if (field.value.empty() && (field.id == HeaderId::server || field.id == HeaderId::date)) continue;
    add(listed_field(r->arena, field, raw != 0, before));
  }
  return count;
}

// The values of the field: how many there are, `max` of them in `out`.
int mp_resp_header_get(const char* name, std::size_t size, Str* out, int max) {
  Request* r;
  if (const int rc = usable_request(r); rc != kOk) return rc;
  const std::string_view field = field_name(*r, view(name, size));
  const HeaderId id = mp::http::header_id(field);
  if (const std::string_view value = special_value(*r, id); !value.empty()) {
    out[0] = str(value);
    return 1;
  }
  int count = 0;
  for (const HeaderField& f : r->out.headers) {
    if (count == max) break;
    if (f.value.empty() && (f.id == HeaderId::server || f.id == HeaderId::date)) continue;
    if (same_name(f.name, field)) out[count++] = str(f.value);
  }
  return count;
}
}
