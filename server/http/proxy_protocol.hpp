// PROXY protocol, versions 1 and 2: the header that a load balancer puts in front of a connection to
// tell the addresses of the original one. Reading and writing over buffers; no I/O.
// A ProxyHeader lives as long as its connection; `tlvs` is the only thing in it that points elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "net/address.hpp"

namespace mp::http {

inline constexpr std::size_t kProxyV1Max = 107;       // the longest version 1 header
inline constexpr std::size_t kProxyHeaderMax = 4096;  // a longer version 2 header is refused

struct ProxyHeader {
  bool has_addresses = false;    // false for UNKNOWN and LOCAL, and for what is not TCP over IP
  std::string_view src_address;  // $proxy_protocol_addr: as sent in version 1, printed in version 2;
  std::string_view dst_address;  //   views into `text`
  std::uint16_t src_port = 0;
  std::uint16_t dst_port = 0;
  net::Address src;
  net::Address dst;
  std::string_view tlvs;  // version 2: the raw list; a view into the input until keep() was called
  char text[2 * net::Address::kMaxText];

  // Takes a copy of what are views into the input.
  void keep() {
    kept_tlvs_ = tlvs;
    tlvs = kept_tlvs_;
  }

  ProxyHeader() = default;
  ProxyHeader(const ProxyHeader&) = delete;
  ProxyHeader& operator=(const ProxyHeader&) = delete;

 private:
  std::string kept_tlvs_;
};

struct ProxyParse {
  enum class Result : std::uint8_t { need_more, complete, error };
  Result result;
  std::size_t consumed = 0;
  std::string error;  // for the log at error level; the connection is closed
};

// `data`: what has come on the connection so far. Fills `into` when complete.
ProxyParse parse_proxy_header(std::string_view data, ProxyHeader& into);

// The value of a TLV by the name that $proxy_protocol_tlv_NAME uses: alpn, authority, unique_id, ssl, netns,
// ssl_version, ssl_cn, ssl_cipher, ssl_sig_alg, ssl_key_alg, ssl_verify, 0xNN, ssl_0xNN. A view into `tlvs`
// or `scratch`. Nothing when it was not sent; *error then says what is to be logged at error level, if
// anything.
std::optional<std::string_view> find_proxy_tlv(std::string_view tlvs, std::string_view name,
                                               char (&scratch)[16], std::string* error = nullptr);

// A TLV to send with version 2.
struct ProxyTlv {
  std::uint8_t type;
  std::string_view value;
};

// What the TLS TLV (0x20) of a client's connection says.
struct ProxyTls {
  bool client_certificate = false;
  std::uint32_t verify = 0;           // 0: the client's certificate was verified
  std::span<const ProxyTlv> details;  // 0x21 version, 0x22 name, 0x23 cipher, ...
};

namespace proxy_tlv {
inline constexpr std::uint8_t kAlpn = 0x01, kAuthority = 0x02, kCrc32c = 0x03, kUniqueId = 0x05, kTls = 0x20,
                              kTlsVersion = 0x21, kTlsName = 0x22, kTlsCipher = 0x23, kTlsSignature = 0x24,
                              kTlsKey = 0x25, kNetns = 0x30;
}

// The header for a connection from `src` to `dst`, appended to `out`: UNKNOWN or LOCAL unless both are IP.
void write_proxy_v1(std::string& out, const net::Address& src, const net::Address& dst);
// Version 2 carries the TLVs and a checksum. False, and `out` as it was, when they do not fit its 16-bit
// length.
bool write_proxy_v2(std::string& out, const net::Address& src, const net::Address& dst,
                    std::span<const ProxyTlv> tlvs = {}, const ProxyTls* tls = nullptr);

}  // namespace mp::http
