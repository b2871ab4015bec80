#include "proto/h2/request_head.hpp"

#include <algorithm>

#include "base/ascii.hpp"
#include "base/strings.hpp"

namespace mp::proto {
namespace {

using http::HeaderField;
using http::HeaderId;

constexpr CharSet kNameChars = CharSet("-").add_range('0', '9').add_range('a', 'z');
constexpr CharSet kBadNameChars = CharSet(":\x7f").add_range(0, 0x20).add_range('A', 'Z');
constexpr CharSet kMethodChars = CharSet("-_").add_range('A', 'Z');
constexpr CharSet kSchemeStart = CharSet("").add_range('A', 'Z').add_range('a', 'z');
constexpr CharSet kSchemeChars = CharSet("+-.").add_range('0', '9').add_range('A', 'Z').add_range('a', 'z');
constexpr CharSet kBadPathChars = CharSet("\x7f").add_range(0, 0x20);

bool all_of(std::string_view text, const CharSet& set) {
  return std::all_of(text.begin(), text.end(), [&](char c) { return set.contains(c); });
}

bool any_of(std::string_view text, const CharSet& set) {
  return std::any_of(text.begin(), text.end(), [&](char c) { return set.contains(c); });
}

[[gnu::cold]] std::string quote(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

// RFC 9113 8.2.1: no controls, no blank at either end.
bool is_value(std::string_view value) {
  if (value.empty()) return true;
  return !is_blank(value.front()) && !is_blank(value.back()) && http::is_field_value(value);
}

}  // namespace

bool is_h2_trailer(const HpackField& field) {
  const HpackName& name = field.name;
  if (name.pseudo != H2Pseudo::none || http::is_hop_by_hop(name.id)) return false;
  const bool good_name =
      name.id != HeaderId::unknown || (!name.text.empty() && !any_of(name.text, kBadNameChars));
  return good_name && is_value(field.value);
}

void H2LastHost::keep(std::string_view text, const http::Host& host) {
  // The name must be found in the text: it is not where it had to be made lower case.
  if (text.size() > sizeof text_ || host.name.data() != text.data()) return;
  size_ = static_cast<std::uint8_t>(text.copy(text_, sizeof text_));
  name_size_ = static_cast<std::uint8_t>(host.name.size());
  port_ = host.port;
}

bool H2RequestHead::refuse(int status, std::string text) {
  if (error_.status == 0) error_ = {status, std::move(text)};
  return false;
}

// ---- one field

bool H2RequestHead::add(const HpackField& field) {
  if (error_.status != 0) return false;
  bool odd = false;
  if (!field.sound && !check_text(field, odd)) return false;
  const std::string_view value = field.value_lasts ? field.value : arena_.copy(field.value);
  if (field.name.pseudo != H2Pseudo::none) return add_pseudo(field, value);
  return add_ordinary(field, value, odd);
}

// What can be said of a field alone.
bool H2RequestHead::check_text(const HpackField& field, bool& odd) {
  const HpackName& name = field.name;
  const bool known =
      name.id != HeaderId::unknown || (name.pseudo != H2Pseudo::none && name.pseudo != H2Pseudo::other);
  if (!known && !check_name(name.text, odd)) {
    return refuse(400, "client sent invalid header name: " + quote(name.text));
  }
  if (is_value(field.value)) return true;
  return refuse(400, "client sent header " + quote(name.text) + " with invalid value: " + quote(field.value));
}

bool H2RequestHead::add_ordinary(const HpackField& field, std::string_view value, bool odd) {
  const HeaderId id = field.name.id;
  fields_begun_ = true;
  if (request_line.empty() && !complete_request_line()) return !odd;
  const std::string_view name = field.name_lasts ? field.name.text : arena_.copy(field.name.text);
  // Those that are left out count, too: the table makes them a byte each, and each is logged.
  if (fields.size() + cookies_.size() + ignored_.size() >= options_.max_fields) {
    return refuse(494, "client sent too many header lines");
  }
  if (odd && options_.ignore_odd_names) {
    ignored_.push_back(name);
    return false;
  }
  if (id == HeaderId::cookie) {
    cookies_.push_back(value);
    return true;
  }
  if (http::is_hop_by_hop(id)) connection_fields_ = true;
  const HeaderField& added = fields.add(name, value, id);
  (void)http::check_request_field(fields, added, error_);
  return !odd;
}

bool H2RequestHead::check_name(std::string_view name, bool& odd) {
  std::string_view rest = name;
  if (rest.starts_with(':')) rest.remove_prefix(1);
  if (rest.empty()) return false;
  for (const char c : rest) {
    if (kNameChars.contains(c) || (c == '_' && options_.underscores)) continue;
    if (kBadNameChars.contains(c)) return false;
    odd = true;
  }
  return true;
}

bool H2RequestHead::add_pseudo(const HpackField& field, std::string_view value) {
  if (fields_begun_) return refuse(400, "client sent out of order pseudo-headers");
  switch (field.name.pseudo) {
    case H2Pseudo::path:
      return set_path(value, field.sound);
    case H2Pseudo::method:
      return set_method(value, field.sound);
    case H2Pseudo::scheme:
      return set_scheme(value, field.sound);
    case H2Pseudo::authority:
      return set_authority(value);
    case H2Pseudo::protocol:
      if (!protocol.empty() || value.empty()) break;
      protocol = value;
      return true;
    default:
      break;
  }
  return refuse(400, "client sent unknown pseudo-header \"" + std::string(field.name.text) + "\"");
}

bool H2RequestHead::set_authority(std::string_view value) {
  if (authority_seen_) return refuse(400, "client sent duplicate \":authority\" header");
  authority_seen_ = true;
  authority = value;
  if (last_host_ != nullptr) host = last_host_->find(value);
  if (host) return true;
  host = http::parse_host(arena_, value);
  if (!host) return refuse(400, "client sent invalid \":authority\" header");
  if (last_host_ != nullptr) last_host_->keep(value, *host);
  return true;
}

bool H2RequestHead::set_path(std::string_view value, bool sound) {
  if (!path.empty()) return refuse(400, "client sent duplicate :path header");
  if (value.empty()) return refuse(400, "client sent empty :path header");
  if (!sound && (value.front() != '/' || any_of(value, kBadPathChars))) {
    return refuse(400, "client sent invalid :path header: " + quote(value));
  }
  path = value;
  return true;
}

bool H2RequestHead::set_method(std::string_view value, bool sound) {
  if (!method_name.empty()) return refuse(400, "client sent duplicate :method header");
  if (value.empty()) return refuse(400, "client sent empty :method header");
  if (!sound && !all_of(value, kMethodChars)) {
    return refuse(400, "client sent invalid method: " + quote(value));
  }
  method_name = value;
  method = http::parse_method(value);
  return true;
}

bool H2RequestHead::set_scheme(std::string_view value, bool sound) {
  if (!scheme.empty()) return refuse(400, "client sent duplicate :scheme header");
  if (value.empty()) return refuse(400, "client sent empty :scheme header");
  if (!sound && (!kSchemeStart.contains(value.front()) || !all_of(value, kSchemeChars))) {
    return refuse(400, "client sent invalid :scheme header: " + quote(value));
  }
  scheme = value;
  return true;
}

// ---- the whole

bool H2RequestHead::complete_request_line() {
  if (!request_line.empty()) return true;
  if (method_name.empty()) return refuse(400, "client sent no :method header");
  // An ordinary CONNECT has neither; it is refused as such at the end.
  const bool plain_connect = method == http::Method::connect && protocol.empty();
  if (!plain_connect) {
    if (scheme.empty()) return refuse(400, "client sent no :scheme header");
    if (path.empty()) return refuse(400, "client sent no :path header");
  }
  request_line = arena_.concat(method_name, " ", path.empty() ? authority : path, " HTTP/2.0");
  return true;
}

void H2RequestHead::finish(bool ended) {
  if (error_.status != 0 || !complete_request_line()) return;
  join_cookies();
  (void)(check_connection_fields() && check_host() && check_length(ended) && check_method(ended));
}

// Clients may cut the cookies into fields of their own, for the sake of compression.
void H2RequestHead::join_cookies() {
  if (cookies_.empty()) return;
  std::string_view value = cookies_.front();
  if (cookies_.size() > 1) {
    std::size_t size = 0;
    for (const std::string_view part : cookies_) size += part.size() + 2;
    char* const start = arena_.bytes(size);
    char* p = start;
    for (const std::string_view part : cookies_) {
      if (p != start) p += std::string_view("; ").copy(p, 2);
      p += part.copy(p, part.size());
    }
    value = {start, static_cast<std::size_t>(p - start)};
  }
  fields.add("cookie", value, HeaderId::cookie);
}

bool H2RequestHead::check_connection_fields() {
  if (!connection_fields_) return true;
  constexpr std::pair<HeaderId, std::string_view> kForbidden[] = {
      {HeaderId::connection, "Connection"},
      {HeaderId::keep_alive, "Keep-Alive"},
      {HeaderId::proxy_connection, "Proxy-Connection"},
      {HeaderId::transfer_encoding, "Transfer-Encoding"},
      {HeaderId::upgrade, "Upgrade"},
  };
  for (const auto& [id, name] : kForbidden) {
    if (fields.find(id) != nullptr) return refuse(400, "client sent " + quote(name) + " header");
  }
  unsigned count = 0;
  for (const HeaderField& field : fields.all()) {
    if (field.id != HeaderId::te) continue;
    if (++count > 1 || !equals_nocase(field.value, "trailers")) {
      return refuse(400, "client sent invalid \"TE\" header");
    }
  }
  return true;
}

bool H2RequestHead::check_host() {
  const HeaderField* field = fields.find(HeaderId::host);
  if (authority_seen_) {
    if (field == nullptr) {
      fields.add("host", authority, HeaderId::host);  // for $http_host and whoever is behind a proxy_pass
    } else if (field->value != authority) {
      return refuse(400, "client sent \":authority\" and \"Host\" headers with different values");
    }
    return true;
  }
  if (field == nullptr) return refuse(400, "client sent neither \":authority\" nor \"Host\" header");
  host = http::parse_host(arena_, field->value);
  return host.has_value() || refuse(400, "client sent invalid host header");
}

bool H2RequestHead::check_length(bool ended) {
  const HeaderField* field = fields.find(HeaderId::content_length);
  if (field == nullptr) return true;
  const auto size = http::parse_content_length(field->value);
  if (!size) return refuse(400, "client sent invalid \"Content-Length\" header");
  if (*size > 0 && ended) return refuse(400, "client prematurely closed stream");
  content_length = *size;
  return true;
}

bool H2RequestHead::check_method(bool ended) {
  if (method == http::Method::trace) return refuse(405, "client sent TRACE method");
  if (method == http::Method::connect) {
    if (protocol.empty()) return refuse(405, "client sent CONNECT method");
    if (protocol != "websocket") return refuse(501, "client sent unknown :protocol " + quote(protocol));
    if (ended || content_length >= 0) return refuse(400, "client sent CONNECT request without a tunnel");
  } else if (!protocol.empty()) {
    return refuse(400, "client sent :protocol header without CONNECT method");
  }
  return true;
}

}  // namespace mp::proto
