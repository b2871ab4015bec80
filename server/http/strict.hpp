// Rules for header fields that hold for every HTTP version: which bytes a name and a value may have,
// what a Content-Length and a Transfer-Encoding must look like, which fields may come once.
// (Hosts: uri_authority.hpp.)
// HTTP/1 and HTTP/2 both go through here, so that neither accepts what the other refuses.
// Pure functions over views; nothing is owned.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/sixteen.hpp"
#include "http/field_list.hpp"
#include "http/header_id.hpp"

namespace mp::http {

// Why a message was refused: `status` to answer with, `text` for the log (without the "while ..." tail).
// 494 stands for "400 Request Header Or Cookie Too Large", as in nginx.
struct HeadError {
  int status = 0;
  std::string text;
};

#if MP_SIXTEEN
// A bit for each byte that no field value may hold: a control other than tab.
inline unsigned controls(sixteen::Bytes bytes) {
  using namespace sixteen;
  const unsigned any = mask(either(within(bytes, 0, 0x1f), is(bytes, 0x7f)));
  return any & ~mask(is(bytes, '\t'));
}
// A bit for each byte that is neither a letter, a digit nor '-'.
inline unsigned not_plain(sixteen::Bytes bytes) {
  using namespace sixteen;
  const Bytes letter = within(either(bytes, _mm_set1_epi8(0x20)), 'a', 25);
  return mask(either(either(letter, within(bytes, '0', 9)), is(bytes, '-'))) ^ 0xffff;
}
#endif

// The first byte that no field value may hold: a control other than tab. `end` when there is none.
const char* find_control(const char* p, const char* end);

inline bool is_field_value(std::string_view value) {
  return find_control(value.data(), value.data() + value.size()) == value.data() + value.size();
}

// The first byte that is neither a letter, a digit nor '-'; `end` when there is none.
const char* skip_plain_name(const char* p, const char* end);

enum class NameCheck : std::uint8_t {
  good,  // letters, digits, '-', and '_' when allowed
  odd,   // other visible characters: what `ignore_invalid_headers` is about
  bad,   // empty, a blank, a control or ':': the message is refused
};

struct NameScan {
  NameCheck check;
  std::size_t size;  // characters before the ':' (or `bad` character, or the end of the text)
};

// Scans a field name at the front of `line` up to its ':'.
NameScan scan_name(std::string_view line, bool allow_underscore);
NameCheck check_name(std::string_view name, bool allow_underscore);

// Decimal digits only, below 2^63.
std::optional<std::int64_t> parse_content_length(std::string_view value);

// Checks one more request field against those before it; call after adding it to `fields`.
// Refuses a broken Content-Length and a second one of what may come only once (Host, Content-Length, ...):
// fills `error`, returns false.
bool check_request_field(const FieldList& fields, const HeaderField& added, HeadError& error);

enum class BodyKind : std::uint8_t { none, length, chunked, until_close };

struct BodyFraming {
  BodyKind kind = BodyKind::none;
  std::int64_t length = -1;  // of BodyKind::length; -1 when no Content-Length was sent
};

// How the body of an HTTP/1 request is delimited (RFC 9112 6.3); `version` is major * 1000 + minor.
bool request_framing(const FieldList& fields, int version, BodyFraming& framing, HeadError& error);

enum class ConnectionOption : std::uint8_t { unset, close, keep_alive };

// What the Connection fields ask for; the last one that says either wins.
ConnectionOption connection_option(const FieldList& fields);

}  // namespace mp::http
