// Address: an IPv4, IPv6 or Unix socket address as a plain value (112 bytes, trivially copyable, so it
// may live in arenas and in shared memory), with the text forms nginx uses. Owns nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/arena.hpp"

namespace mp::net {

class Address {
 public:
  // Room for any text form, "unix:" and a whole path being the longest.
  static constexpr std::size_t kMaxText = 5 + sizeof(sockaddr_un::sun_path);

  Address() { storage_.base.sa_family = AF_UNSPEC; }

  static Address v4(std::uint32_t host_order, std::uint16_t port = 0);
  static Address v6(const in6_addr& address, std::uint16_t port = 0, std::uint32_t scope = 0);
  // Nothing when the path is empty, has a NUL, or does not fit.
  static std::optional<Address> unix_path(std::string_view path);
  // What accept(), getsockname() or getaddrinfo() gave; unspecified for other families.
  static Address from(const sockaddr* address, socklen_t size);

  int family() const { return storage_.base.sa_family; }
  bool specified() const { return family() != AF_UNSPEC; }
  bool is_v4() const { return family() == AF_INET; }
  bool is_v6() const { return family() == AF_INET6; }
  bool is_unix() const { return family() == AF_UNIX; }

  // For connect(), bind() and sendto().
  const sockaddr* raw() const { return &storage_.base; }
  socklen_t size() const;

  std::uint16_t port() const;  // 0 for Unix sockets
  void set_port(std::uint16_t port);
  std::string_view path() const;  // of a Unix socket; empty when it has none

  // 4 or 16 bytes in network order, or "unix:"; a view into this object.
  std::string_view binary() const;
  // The IPv4 address inside ::ffff:a.b.c.d, with the port; itself otherwise.
  Address unmapped() const;
  bool is_wildcard() const;  // 0.0.0.0 or ::

  // "1.2.3.4", "::1", "unix:/path"; with the port "1.2.3.4:80", "[::1]:80". Writes at most kMaxText bytes
  // and returns the end.
  char* print(char* out) const;
  char* print_with_port(char* out) const;
  std::string_view text(Arena& arena) const;
  std::string_view text_with_port(Arena& arena) const;
  std::string text() const;
  std::string text_with_port() const;

  bool operator==(const Address& other) const;
  bool same_host(const Address& other) const;  // without regard to the port
  std::uint64_t hash() const;                  // agrees with ==
  std::uint64_t host_hash() const;             // agrees with same_host()

 private:
  union {
    sockaddr base;
    sockaddr_in in;
    sockaddr_in6 in6;
    sockaddr_un un;
  } storage_{};
};
static_assert(sizeof(Address) == 112 && std::is_trivially_copyable_v<Address>);

// "1.2.3.4" or "::1" (no brackets); the port is 0. Strict: four decimal parts, no blanks, no zone.
std::optional<Address> parse_ip(std::string_view text);
std::optional<std::uint32_t> parse_ipv4(std::string_view text);  // in host order
std::optional<in6_addr> parse_ipv6(std::string_view text);

// "1.2.3.4", "1.2.3.4:80", "::1", "[::1]", "[::1]:80"; a port, when given, is 1 to 65535.
std::optional<Address> parse_ip_port(std::string_view text);

}  // namespace mp::net
