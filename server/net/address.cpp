#include "net/address.hpp"

#include <algorithm>
#include <cstring>

#include <arpa/inet.h>

#include "base/ascii.hpp"
#include "base/numbers.hpp"

namespace mp::net {
namespace {

char* put(char* out, std::string_view text) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

char* print_v4(char* out, const unsigned char* bytes) {
  for (int i = 0; i < 4; ++i) {
    if (i != 0) *out++ = '.';
    out = mp::print(out, static_cast<unsigned>(bytes[i]));
  }
  return out;
}

struct ZeroRun {
  int start = -1;  // in 16-bit groups
  int length = 1;  // a single zero group is not shortened
};

ZeroRun longest_zero_run(const unsigned char* bytes) {
  ZeroRun best;
  int length = 0;
  for (int i = 0; i < 8; ++i) {
    length = bytes[2 * i] == 0 && bytes[2 * i + 1] == 0 ? length + 1 : 0;
    if (length > best.length) best = {i - length + 1, length};
  }
  return best;
}

// RFC 5952, with the last four bytes in dotted form where nginx writes them so.
char* print_v6(char* out, const unsigned char* bytes) {
  const ZeroRun zeros = longest_zero_run(bytes);
  const bool mapped = zeros.length == 5 && bytes[10] == 0xff && bytes[11] == 0xff;
  const bool compatible = zeros.length == 6 || (zeros.length == 7 && bytes[14] != 0 && bytes[15] != 1);
  const bool dotted = zeros.start == 0 && (mapped || compatible);
  const int groups = dotted ? 6 : 8;

  if (zeros.start == 0) *out++ = ':';
  for (int i = 0; i < groups; ++i) {
    if (i == zeros.start) {
      *out++ = ':';
      i += zeros.length - 1;
      continue;
    }
    out = print_hex(out, static_cast<unsigned>(bytes[2 * i]) << 8 | bytes[2 * i + 1]);
    if (i < 7) *out++ = ':';
  }
  return dotted ? print_v4(out, bytes + 12) : out;
}

template <class Print>
std::string_view in_arena(Arena& arena, Print print) {
  char buffer[Address::kMaxText];
  return arena.copy({buffer, static_cast<std::size_t>(print(buffer) - buffer)});
}

}  // namespace

Address Address::v4(std::uint32_t host_order, std::uint16_t port) {
  Address address;
  address.storage_.in.sin_family = AF_INET;
  address.storage_.in.sin_addr.s_addr = htonl(host_order);
  address.storage_.in.sin_port = htons(port);
  return address;
}

Address Address::v6(const in6_addr& bytes, std::uint16_t port, std::uint32_t scope) {
  Address address;
  address.storage_.in6.sin6_family = AF_INET6;
  address.storage_.in6.sin6_addr = bytes;
  address.storage_.in6.sin6_port = htons(port);
  address.storage_.in6.sin6_scope_id = scope;
  return address;
}

std::optional<Address> Address::unix_path(std::string_view path) {
  Address address;
  if (path.empty() || path.size() >= sizeof address.storage_.un.sun_path) return std::nullopt;
  if (path.find('\0') != std::string_view::npos) return std::nullopt;
  address.storage_.un.sun_family = AF_UNIX;
  std::memcpy(address.storage_.un.sun_path, path.data(), path.size());
  return address;
}

Address Address::from(const sockaddr* address, socklen_t size) {
  Address result;
  if (address == nullptr || size < sizeof(sa_family_t)) return result;
  if (address->sa_family == AF_INET && size >= sizeof(sockaddr_in)) {
    std::memcpy(&result.storage_.in, address, sizeof(sockaddr_in));
    std::memset(result.storage_.in.sin_zero, 0, sizeof result.storage_.in.sin_zero);
  } else if (address->sa_family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
    std::memcpy(&result.storage_.in6, address, sizeof(sockaddr_in6));
  } else if (address->sa_family == AF_UNIX) {
    result.storage_.un.sun_family = AF_UNIX;
    constexpr std::size_t kPathAt = offsetof(sockaddr_un, sun_path);
    const std::size_t room =
        std::min<std::size_t>(size, sizeof(sockaddr_un)) - std::min<std::size_t>(size, kPathAt);
    const char* path = reinterpret_cast<const char*>(address) + kPathAt;
    const std::size_t length = strnlen(path, std::min(room, sizeof result.storage_.un.sun_path - 1));
    std::memcpy(result.storage_.un.sun_path, path, length);
  }
  return result;
}

socklen_t Address::size() const {
  switch (family()) {
    case AF_INET:
      return sizeof(sockaddr_in);
    case AF_INET6:
      return sizeof(sockaddr_in6);
    case AF_UNIX:
      return path().empty() ? sizeof(sa_family_t) : sizeof(sockaddr_un);
    default:
      return 0;
  }
}

std::uint16_t Address::port() const {
  if (is_v4()) return ntohs(storage_.in.sin_port);
  if (is_v6()) return ntohs(storage_.in6.sin6_port);
  return 0;
}

void Address::set_port(std::uint16_t port) {
  if (is_v4()) storage_.in.sin_port = htons(port);
  if (is_v6()) storage_.in6.sin6_port = htons(port);
}

std::string_view Address::path() const {
  if (!is_unix()) return {};
  return {storage_.un.sun_path, strnlen(storage_.un.sun_path, sizeof storage_.un.sun_path)};
}

std::string_view Address::binary() const {
  switch (family()) {
    case AF_INET:
      return {reinterpret_cast<const char*>(&storage_.in.sin_addr), 4};
    case AF_INET6:
      return {reinterpret_cast<const char*>(&storage_.in6.sin6_addr), 16};
    case AF_UNIX:
      return "unix:";
    default:
      return {};
  }
}

Address Address::unmapped() const {
  if (!is_v6() || !IN6_IS_ADDR_V4MAPPED(&storage_.in6.sin6_addr)) return *this;
  std::uint32_t address;
  std::memcpy(&address, storage_.in6.sin6_addr.s6_addr + 12, 4);
  return v4(ntohl(address), port());
}

bool Address::is_wildcard() const {
  if (is_v4()) return storage_.in.sin_addr.s_addr == INADDR_ANY;
  return is_v6() && IN6_IS_ADDR_UNSPECIFIED(&storage_.in6.sin6_addr);
}

char* Address::print(char* out) const {
  switch (family()) {
    case AF_INET:
      return print_v4(out, reinterpret_cast<const unsigned char*>(&storage_.in.sin_addr));
    case AF_INET6:
      return print_v6(out, storage_.in6.sin6_addr.s6_addr);
    case AF_UNIX:
      return put(put(out, "unix:"), path());
    default:
      return out;
  }
}

char* Address::print_with_port(char* out) const {
  if (is_v6()) *out++ = '[';
  out = print(out);
  if (is_v6()) *out++ = ']';
  if (!is_v4() && !is_v6()) return out;
  *out++ = ':';
  return mp::print(out, port());
}

std::string_view Address::text(Arena& arena) const {
  return in_arena(arena, [this](char* out) { return print(out); });
}
std::string_view Address::text_with_port(Arena& arena) const {
  return in_arena(arena, [this](char* out) { return print_with_port(out); });
}
std::string Address::text() const {
  char buffer[kMaxText];
  return {buffer, print(buffer)};
}
std::string Address::text_with_port() const {
  char buffer[kMaxText];
  return {buffer, print_with_port(buffer)};
}

bool Address::operator==(const Address& other) const {
  if (is_v4() && other.is_v4()) {
    return storage_.in.sin_addr.s_addr == other.storage_.in.sin_addr.s_addr &&
           storage_.in.sin_port == other.storage_.in.sin_port;
  }
  return same_host(other) && port() == other.port();
}

bool Address::same_host(const Address& other) const {
  if (family() != other.family()) return false;
  if (is_unix()) return path() == other.path();
  if (is_v6() && storage_.in6.sin6_scope_id != other.storage_.in6.sin6_scope_id) return false;
  return binary() == other.binary();
}

std::uint64_t Address::hash() const {
  return hash_text(is_unix() ? path() : binary(), port());
}
std::uint64_t Address::host_hash() const {
  return hash_text(is_unix() ? path() : binary());
}

std::optional<std::uint32_t> parse_ipv4(std::string_view text) {
  std::uint32_t address = 0;
  for (int part = 0; part < 4; ++part) {
    const std::size_t end = part < 3 ? text.find('.') : text.size();
    if (end == std::string_view::npos || end > 3) return std::nullopt;
    const auto value = parse_unsigned<std::uint8_t>(text.substr(0, end));
    if (!value) return std::nullopt;
    address = address << 8 | *value;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return address;
}

std::optional<in6_addr> parse_ipv6(std::string_view text) {
  char buffer[INET6_ADDRSTRLEN];
  if (text.empty() || text.size() >= sizeof buffer || text.find('\0') != std::string_view::npos)
    return std::nullopt;
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  in6_addr address;
  if (inet_pton(AF_INET6, buffer, &address) != 1) return std::nullopt;
  return address;
}

std::optional<Address> parse_ip(std::string_view text) {
  if (const auto v4 = parse_ipv4(text)) return Address::v4(*v4);
  if (const auto v6 = parse_ipv6(text)) return Address::v6(*v6);
  return std::nullopt;
}

std::optional<Address> parse_ip_port(std::string_view text) {
  if (auto address = parse_ip(text)) return address;
  std::string_view host;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    host = text.substr(1, close - 1);
    text.remove_prefix(close + 1);
    if (text.empty()) return parse_ip(host);
  } else {
    host = text.substr(0, text.find(':'));
    text.remove_prefix(host.size());
  }
  if (!text.starts_with(':')) return std::nullopt;
  const auto port = parse_unsigned<std::uint16_t>(text.substr(1));
  if (!port || *port == 0) return std::nullopt;
  auto address = parse_ip(host);
  if (address) address->set_port(*port);
  return address;
}

}  // namespace mp::net
