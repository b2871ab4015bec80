#include "http/strict.hpp"

#include <bit>
#include <cstring>

#include "base/ascii.hpp"
#include "base/numbers.hpp"
#include "base/strings.hpp"

namespace mp::http {
namespace {

constexpr std::uint64_t kOnes = 0x0101010101010101;

constexpr CharSet kPlainNameChars = CharSet("-").add_range('0', '9').add_range('a', 'z').add_range('A', 'Z');
constexpr CharSet kNameEnd = CharSet(":\x7f").add_range(0, 0x20);

std::uint64_t load8(const char* p) {
  std::uint64_t word;
  std::memcpy(&word, p, 8);
  return word;
}

// Bit 7 of a byte: it is below 0x20, or 0x7f. Bytes above the first hit may be wrong; it is not.
std::uint64_t controls8(std::uint64_t word) {
  const std::uint64_t rubout = word ^ (kOnes * 0x7f);
  return (((word - kOnes * 0x20) & ~word) | ((rubout - kOnes) & ~rubout)) & (kOnes * 0x80);
}

std::string line_of(const HeaderField& field) {
  std::string text;
  text.reserve(field.name.size() + field.value.size() + 4);
  return text.append("\"").append(field.name).append(": ").append(field.value).append("\"");
}

bool refuse(HeadError& error, int status, std::string text) {
  error.status = status;
  error.text = std::move(text);
  return false;
}

}  // namespace

namespace {

const char* find_control_by_8(const char* p, const char* end) {
  while (end - p >= 8) {
    const std::uint64_t hit = controls8(load8(p));
    if (hit == 0) {
      p += 8;
      continue;
    }
    p += std::countr_zero(hit) / 8;
    if (*p != '\t') return p;
    ++p;
  }
  for (; p != end; ++p) {
    if (is_control(*p) && *p != '\t') return p;
  }
  return end;
}

const char* skip_plain_name_by_1(const char* p, const char* end) {
  while (p != end && kPlainNameChars.contains(*p)) ++p;
  return p;
}

}  // namespace

const char* find_control(const char* p, const char* end) {
#if MP_SIXTEEN
  for (; end - p >= 16; p += 16) {
    if (const unsigned hit = controls(sixteen::load(p)); hit != 0) return p + std::countr_zero(hit);
  }
#endif
  return find_control_by_8(p, end);
}

const char* skip_plain_name(const char* p, const char* end) {
#if MP_SIXTEEN
  for (; end - p >= 16; p += 16) {
    if (const unsigned hit = not_plain(sixteen::load(p)); hit != 0) return p + std::countr_zero(hit);
  }
#endif
  return skip_plain_name_by_1(p, end);
}

NameScan scan_name(std::string_view line, bool allow_underscore) {
  auto i = static_cast<std::size_t>(skip_plain_name(line.data(), line.data() + line.size()) - line.data());
  if (i < line.size() && line[i] == ':') return {i == 0 ? NameCheck::bad : NameCheck::good, i};
  bool odd = false;
  for (; i < line.size(); ++i) {
    const char c = line[i];
    if (kPlainNameChars.contains(c) || (c == '_' && allow_underscore)) continue;
    if (kNameEnd.contains(c)) break;
    odd = true;
  }
  if (i == 0 || i == line.size() || line[i] != ':') return {NameCheck::bad, i};
  return {odd ? NameCheck::odd : NameCheck::good, i};
}

NameCheck check_name(std::string_view name, bool allow_underscore) {
  bool odd = false;
  for (char c : name) {
    if (kPlainNameChars.contains(c) || (c == '_' && allow_underscore)) continue;
    if (kNameEnd.contains(c)) return NameCheck::bad;
    odd = true;
  }
  if (name.empty()) return NameCheck::bad;
  return odd ? NameCheck::odd : NameCheck::good;
}

std::optional<std::int64_t> parse_content_length(std::string_view value) {
  constexpr std::size_t kAlwaysFit = 18;  // digits
  if (value.empty() || value.size() > kAlwaysFit) return parse_natural<std::int64_t>(value);
  std::int64_t length = 0;
  for (const char c : value) {
    if (!is_digit(c)) return std::nullopt;
    length = length * 10 + (c - '0');
  }
  return length;
}

bool check_request_field(const FieldList& fields, const HeaderField& added, HeadError& error) {
  if (!is_unique_in_request(added.id)) return true;
  const HeaderField* first = fields.find(added.id);
  if (first == &added) {
    if (added.id != HeaderId::content_length || parse_content_length(added.value)) return true;
    return refuse(error, 400, "client sent invalid \"Content-Length\" header");
  }
  const char* what = added.id == HeaderId::host ? "client sent duplicate host header: "
                                                : "client sent duplicate header line: ";
  return refuse(error, 400, what + line_of(added) + ", previous value: " + line_of(*first));
}

bool request_framing(const FieldList& fields, int version, BodyFraming& framing, HeadError& error) {
  framing = {};
  if (const HeaderField* length = fields.find(HeaderId::content_length)) {
    const auto size = parse_content_length(length->value);
    if (!size) return refuse(error, 400, "client sent invalid \"Content-Length\" header");
    framing = {BodyKind::length, *size};
  }
  const HeaderField* coding = fields.find(HeaderId::transfer_encoding);
  if (coding == nullptr) return true;
  if (version < 1001) {
    return refuse(error, 400, "client sent HTTP/1.0 request with \"Transfer-Encoding\" header");
  }
  if (!equals_nocase(coding->value, "chunked")) {
    return refuse(error, 501,
                  "client sent unknown \"Transfer-Encoding\": \"" + std::string(coding->value) + '"');
  }
  if (framing.kind == BodyKind::length) {
    return refuse(error, 400,
                  "client sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time");
  }
  framing.kind = BodyKind::chunked;
  return true;
}

ConnectionOption connection_option(const FieldList& fields) {
  ConnectionOption option = ConnectionOption::unset;
  if (fields.find(HeaderId::connection) == nullptr) return option;
  for (const HeaderField& field : fields.all()) {
    if (field.id != HeaderId::connection) continue;
    if (list_contains(field.value, "close")) {
      option = ConnectionOption::close;
    } else if (list_contains(field.value, "keep-alive")) {
      option = ConnectionOption::keep_alive;
    }
  }
  return option;
}

}  // namespace mp::http
