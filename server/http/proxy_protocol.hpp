// PROXY protocol, versions 1 and 2: the header that a load balancer puts in front of a connection to
// tell the addresses of the original one. Reading and writing over buffers; no I/O, nothing owned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <netinet/in.h>
#include <sys/socket.h>

namespace mp::http {

inline constexpr std::size_t kProxyV1Max = 107;       // the longest version 1 header
inline constexpr std::size_t kProxyV2Head = 16;       // fixed part of version 2
inline constexpr std::size_t kProxyHeaderMax = 4096;  // a longer version 2 header is refused

struct ProxyHeader {
  bool has_addresses = false;    // false: UNKNOWN, LOCAL or a transport without addresses
  std::string_view src_address;  // version 1: as sent; version 2: printed into `text`
  std::string_view dst_address;
  std::uint16_t src_port = 0;
  std::uint16_t dst_port = 0;
  sockaddr_storage src = {};  // ss_family AF_UNSPEC without addresses
  sockaddr_storage dst = {};
  std::string_view tlvs;  // version 2: all of them, raw; a view into the input
  char text[2 * INET6_ADDRSTRLEN];

  ProxyHeader() = default;
  ProxyHeader(const ProxyHeader&) = delete;  // the addresses may point into `text`
  ProxyHeader& operator=(const ProxyHeader&) = delete;
};

struct ProxyParse {
  enum class Result : std::uint8_t { need_more, complete, error } result;
  std::size_t consumed = 0;
  std::string error;  // for the log at error level, e.g.  broken header: "..."
};

// `data`: what has come on the connection so far; it must stay while `header` is used.
ProxyParse parse_proxy_header(std::string_view data, ProxyHeader& header);

// The value of a TLV by the name that $proxy_protocol_tlv_* uses: "alpn", "authority", "unique_id", "ssl",
// "netns", "ssl_version", "ssl_cn", "ssl_cipher", "ssl_sig_alg", "ssl_key_alg", "ssl_verify", or "0x" and
// hexadecimal digits. `scratch` backs values that are computed. Nothing when it is absent or the list broken.
std::optional<std::string_view> find_proxy_tlv(std::string_view tlvs, std::string_view name,
                                               char (&scratch)[16]);

// A TLV to send with version 2.
struct ProxyTlv {
  std::uint8_t type;
  std::string_view value;
};

// Writes a version 1 header; the buffer must hold kProxyV1Max bytes. Returns its size.
std::size_t write_proxy_v1(char* out, const sockaddr* src, const sockaddr* dst);

// Writes a version 2 header with TLVs; `out` grows by it.
void write_proxy_v2(std::string& out, const sockaddr* src, const sockaddr* dst,
                    const ProxyTlv* tlvs = nullptr, std::size_t tlv_count = 0);

}  // namespace mp::http
