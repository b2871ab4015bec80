#include "http/uri_authority.hpp"

#include <algorithm>
#include <bit>

#include "base/ascii.hpp"
#include "base/numbers.hpp"
#include "base/sixteen.hpp"
#include "base/strings.hpp"

namespace mp::http {
namespace {

constexpr CharSet alnum() {
  return CharSet().add_range('0', '9').add_range('a', 'z').add_range('A', 'Z');
}
constexpr CharSet kSchemeChars = alnum().add("+-.");
// In a request line only plain names are taken; the Host header may have any reg-name (RFC 3986).
constexpr CharSet kTargetHostChars = alnum().add("-.");
constexpr CharSet kLiteralChars = alnum().add(":-._~!$&'()*+,;=");
constexpr CharSet kHostChars = alnum().add("-._~!$&'()*+,;=%");

std::size_t span_of(std::string_view text, const CharSet& set) {
  std::size_t i = 0;
  while (i < text.size() && set.contains(text[i])) ++i;
  return i;
}

// How much at the start of `text` is what hosts are mostly made of: small letters, digits, '-' and single
// dots.
std::size_t usual_name_size(std::string_view text) {
  std::size_t at = 0;
#if MP_SIXTEEN
  using namespace sixteen;
  for (unsigned dot_before = 0; at < text.size();) {
    const std::size_t size = std::min<std::size_t>(text.size() - at, 16);
    const Bytes b = load(text.data() + at, size);
    const Bytes dots = is(b, '.');
    const Bytes good = either(either(within(b, 'a', 25), within(b, '0', 9)), either(is(b, '-'), dots));
    const unsigned second_dots = mask(dots) & (mask(dots) << 1 | dot_before);
    const unsigned bad = (~mask(good) | second_dots) & first(size);
    if (bad != 0) return at + static_cast<std::size_t>(std::countr_zero(bad));
    dot_before = mask(dots) >> (size - 1);
    at += size;
  }
#endif
  return at;
}

// The name at the start of `text`, of which `size` bytes were found usual; makes `size` how far it goes.
// Empty: there is none.
[[gnu::noinline]] std::string_view unusual_name(Arena& arena, std::string_view text, std::size_t& size) {
  const bool literal = text.starts_with('[');
  const CharSet& allowed = literal ? kLiteralChars : kHostChars;
  if (literal) size = 1;
  bool has_upper = false;
  for (char before = size == 0 ? '\0' : text[size - 1]; size < text.size() && allowed.contains(text[size]);
       before = text[size++]) {
    has_upper |= is_upper(text[size]);
    if (text[size] == '.' && before == '.') return {};
  }
  std::string_view name = text.substr(0, size);
  if (literal) {
    if (size == text.size() || text[size] != ']' || size == 1) return {};
    name = text.substr(0, ++size);
  } else if (name.ends_with('.')) {
    name.remove_suffix(1);
  }
  return has_upper ? lower(arena, name) : name;
}

// The length of host[:port] at the start of `text`; nothing when a bracket stays open.
std::optional<std::size_t> authority_size(std::string_view text) {
  std::size_t i = 0;
  if (text.starts_with('[')) {
    i = 1 + span_of(text.substr(1), kLiteralChars);
    if (i == text.size() || text[i] != ']') return std::nullopt;
    ++i;
  } else {
    i = span_of(text, kTargetHostChars);
  }
  if (i < text.size() && text[i] == ':') {
    ++i;
    while (i < text.size() && is_digit(text[i])) ++i;
  }
  return i;
}

}  // namespace

std::optional<RequestTarget> parse_request_target(std::string_view target, bool is_connect) {
  if (is_connect) {
    const auto size = authority_size(target);
    if (!size || *size != target.size() || target.empty() || !is_digit(target.back())) return std::nullopt;
    if (target.find(':') == std::string_view::npos) return std::nullopt;
    return RequestTarget{.authority = target, .uri = "/"};
  }
  if (target.starts_with('/')) return RequestTarget{.uri = target};
  if (target.empty() || !is_alpha(target.front())) return std::nullopt;

  RequestTarget result;
  result.scheme = target.substr(0, span_of(target, kSchemeChars));
  target.remove_prefix(result.scheme.size());
  if (!consume(target, "://")) return std::nullopt;
  const auto size = authority_size(target);
  if (!size) return std::nullopt;
  result.authority = target.substr(0, *size);
  result.uri = target.substr(*size);
  if (result.uri.empty()) result.uri = "/";
  if (result.uri.front() != '/' && result.uri.front() != '?') return std::nullopt;
  return result;
}

namespace {

// A host that is not only a usual name, of which the first `size` bytes are one.
[[gnu::noinline]] std::optional<Host> parse_longer_host(Arena& arena, std::string_view text,
                                                        std::size_t size) {
  std::string_view name = text.substr(0, size);
  const bool good = !name.empty() && name.back() != '.';
  if (!good || text[size] != ':') [[unlikely]]
    name = unusual_name(arena, text, size);
  if (name.empty()) return std::nullopt;
  Host host{.name = name};
  std::string_view rest = text.substr(size);
  if (rest.empty()) return host;
  if (!consume(rest, ":")) [[unlikely]]
    return std::nullopt;
  if (rest.empty()) return host;
  const auto port = parse_unsigned<std::uint16_t>(rest);
  if (!port) return std::nullopt;
  host.port = *port;
  return host;
}

}  // namespace

std::optional<Host> parse_host(Arena& arena, std::string_view text) {
  const std::size_t size = usual_name_size(text);
  if (size == text.size() && size != 0 && text.back() != '.') [[likely]]
    return Host{.name = text};
  return parse_longer_host(arena, text, size);
}

}  // namespace mp::http
