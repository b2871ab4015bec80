#include "http/proxy_protocol.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "http/strict.hpp"

namespace mp::http {
namespace {

using Result = ProxyParse::Result;

constexpr std::string_view kSignature{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr std::string_view kV1Start = "PROXY ";
constexpr std::size_t kV2Head = 16;
constexpr std::size_t kTlvHead = 3;

constexpr unsigned kLocal = 0x20, kProxy = 0x21;
constexpr unsigned kStream = 1, kInet = 1, kInet6 = 2;

unsigned byte_at(std::string_view data, std::size_t at) {
  return static_cast<unsigned char>(data[at]);
}
std::uint16_t short_at(std::string_view data, std::size_t at) {
  return static_cast<std::uint16_t>(byte_at(data, at) << 8 | byte_at(data, at + 1));
}

ProxyParse refuse(std::string text) {
  return {Result::error, 0, std::move(text)};
}

ProxyParse broken(std::string_view data) {
  const std::string_view line = data.substr(0, data.find_first_of("\r\n"));
  return refuse("broken header: \"" + std::string(line.substr(0, kProxyHeaderMax)) + "\"");
}

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
    table[i] = crc;
  }
  return table;
}
constexpr auto kCrcTable = make_crc_table();

class Crc32c {
 public:
  Crc32c& add(std::string_view data) {
    for (char c : data) crc_ = kCrcTable[(crc_ ^ static_cast<unsigned char>(c)) & 0xff] ^ (crc_ >> 8);
    return *this;
  }
  std::uint32_t value() const { return ~crc_; }

 private:
  std::uint32_t crc_ = 0xffffffff;
};

void put_number(char* at, std::uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) at[i] = static_cast<char>(value >> (8 * (bytes - 1 - i)));
}
void append_number(std::string& out, std::uint32_t value, int bytes) {
  char text[4];
  put_number(text, value, bytes);
  out.append(text, static_cast<std::size_t>(bytes));
}

struct Tlvs {
  std::string_view rest;
  bool broken = false;

  // The next one; nothing at the end or when the list is cut off.
  std::optional<ProxyTlv> next() {
    if (rest.empty()) return std::nullopt;
    if (rest.size() < kTlvHead || rest.size() - kTlvHead < short_at(rest, 1)) {
      broken = true;
      return std::nullopt;
    }
    const ProxyTlv tlv{static_cast<std::uint8_t>(rest[0]), rest.substr(kTlvHead, short_at(rest, 1))};
    rest.remove_prefix(kTlvHead + tlv.value.size());
    return tlv;
  }
};

std::optional<std::string_view> find_tlv(std::string_view list, std::uint64_t type, std::string* error) {
  Tlvs tlvs{list};
  while (const auto tlv = tlvs.next()) {
    if (tlv->type == type) return tlv->value;
  }
  if (tlvs.broken && error != nullptr) *error = "broken PROXY protocol TLV";
  return std::nullopt;
}

std::optional<std::uint8_t> tlv_type(std::string_view name, bool in_tls) {
  using namespace proxy_tlv;
  static constexpr std::pair<std::string_view, std::uint8_t> kPlain[] = {
      {"alpn", kAlpn}, {"authority", kAuthority}, {"unique_id", kUniqueId}, {"ssl", kTls}, {"netns", kNetns}};
  static constexpr std::pair<std::string_view, std::uint8_t> kInTls[] = {{"version", kTlsVersion},
                                                                         {"cn", kTlsName},
                                                                         {"cipher", kTlsCipher},
                                                                         {"sig_alg", kTlsSignature},
                                                                         {"key_alg", kTlsKey}};
  for (const auto& [text, type] : in_tls ? std::span(kInTls) : std::span(kPlain)) {
    if (text == name) return type;
  }
  return std::nullopt;
}

// ---- reading

std::optional<std::uint16_t> port_of(std::string_view text) {
  return text.size() > 5 ? std::nullopt : parse_unsigned<std::uint16_t>(text);
}

void set_addresses(ProxyHeader& into, net::Address src, std::uint16_t src_port, net::Address dst,
                   std::uint16_t dst_port) {
  src.set_port(src_port);
  dst.set_port(dst_port);
  into.src = src;
  into.dst = dst;
  into.src_port = src_port;
  into.dst_port = dst_port;
  into.has_addresses = true;
}

ProxyParse parse_v1(std::string_view data, ProxyHeader& into) {
  const std::string_view room = data.substr(0, kProxyV1Max);
  const auto end =
      static_cast<std::size_t>(find_control(room.data(), room.data() + room.size()) - room.data());
  const bool at_line_end = room.substr(end, 2) == std::string_view("\r\n").substr(0, room.size() - end);
  if (!at_line_end || (end + 2 > room.size() && room.size() == kProxyV1Max)) return broken(data);
  if (end + 2 > room.size()) return {Result::need_more, 0, {}};
  std::string_view line = data.substr(kV1Start.size(), end - kV1Start.size());
  const ProxyParse complete{Result::complete, end + 2, {}};
  if (line == "UNKNOWN" || line.starts_with("UNKNOWN ")) return complete;
  if (!line.starts_with("TCP4 ") && !line.starts_with("TCP6 ")) return broken(data);

  std::string_view words[4];
  line.remove_prefix(5);
  for (int i = 0; i < 3; ++i) {
    const auto cut = split_once(line, ' ');
    if (!cut) return broken(data);
    words[i] = cut->first;
    line = cut->second;
  }
  words[3] = line;
  const auto src = net::parse_ip(words[0]);
  const auto dst = net::parse_ip(words[1]);
  const auto src_port = port_of(words[2]);
  const auto dst_port = port_of(words[3]);
  if (!src || !dst || !src_port || !dst_port) return broken(data);
  set_addresses(into, *src, *src_port, *dst, *dst_port);
  into.src_address = {into.text, words[0].copy(into.text, net::Address::kMaxText)};
  char* second = into.text + net::Address::kMaxText;
  into.dst_address = {second, words[1].copy(second, net::Address::kMaxText)};
  return complete;
}

net::Address address_at(std::string_view block, std::size_t at, unsigned family) {
  if (family == kInet)
    return net::Address::v4(std::uint32_t{short_at(block, at)} << 16 | short_at(block, at + 2));
  in6_addr address;
  std::memcpy(&address, block.data() + at, sizeof(address));
  return net::Address::v6(address);
}

ProxyParse parse_v2(std::string_view data, ProxyHeader& into) {
  if (data.size() < kV2Head) return {Result::need_more, 0, {}};
  const unsigned version = byte_at(data, 12) >> 4;
  if (version != 2) return refuse("unknown PROXY protocol version: " + std::to_string(version));
  const std::size_t size = kV2Head + short_at(data, 14);
  if (size > kProxyHeaderMax) return refuse("header is too large");
  if (data.size() < size) return {Result::need_more, 0, {}};

  const ProxyParse complete{Result::complete, size, {}};
  const std::string_view header = data.substr(0, size);
  const unsigned family = byte_at(data, 13) >> 4;
  const bool is_stream = (byte_at(data, 13) & 0x0f) == kStream;
  if (byte_at(data, 12) != kProxy || !is_stream || (family != kInet && family != kInet6)) return complete;

  const std::size_t address_size = family == kInet ? 4 : 16;
  const std::string_view block = header.substr(kV2Head);
  const std::size_t block_size = 2 * address_size + 4;
  if (block.size() < block_size) return refuse("broken header: addresses are cut off");
  const std::string_view tlvs = block.substr(block_size);

  set_addresses(into, address_at(block, 0, family), short_at(block, 2 * address_size),
                address_at(block, address_size, family), short_at(block, 2 * address_size + 2));
  into.src_address = {into.text, static_cast<std::size_t>(into.src.print(into.text) - into.text)};
  char* second = into.text + net::Address::kMaxText;
  into.dst_address = {second, static_cast<std::size_t>(into.dst.print(second) - second)};
  into.tlvs = tlvs;
  return complete;
}

// ---- writing

void append_tlv(std::string& out, const ProxyTlv& tlv) {
  out.push_back(static_cast<char>(tlv.type));
  append_number(out, static_cast<std::uint32_t>(tlv.value.size()), 2);
  out.append(tlv.value);
}

void append_address(std::string& out, const net::Address& address, bool as_v6) {
  if (as_v6 && address.is_v4()) out.append("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
  out.append(address.binary());
}

}  // namespace

ProxyParse parse_proxy_header(std::string_view data, ProxyHeader& into) {
  const auto begins_as = [data](std::string_view start) {
    const std::size_t size = std::min(start.size(), data.size());
    return data.substr(0, size) == start.substr(0, size);
  };
  if (begins_as(kSignature)) return parse_v2(data, into);
  if (!begins_as(kV1Start)) return broken(data);
  if (data.size() < kV1Start.size()) return {Result::need_more, 0, {}};
  return parse_v1(data, into);
}

std::optional<std::string_view> find_proxy_tlv(std::string_view tlvs, std::string_view name,
                                               char (&scratch)[16], std::string* error) {
  constexpr std::size_t kTlsHead = 5;  // client flags and verification result
  const std::string_view full_name = name;
  const auto refuse_name = [&](const char* what) {
    if (error != nullptr)
      *error = what + std::string(" PROXY protocol TLV \"") + std::string(full_name) + '"';
    return std::nullopt;
  };
  const bool in_tls = consume(name, "ssl_");
  if (in_tls) {
    const auto tls = find_tlv(tlvs, proxy_tlv::kTls, error);
    if (!tls || tls->size() < kTlsHead) return std::nullopt;
    if (name == "verify") {
      const std::uint32_t verify = std::uint32_t{short_at(*tls, 1)} << 16 | short_at(*tls, 3);
      return std::string_view(scratch, static_cast<std::size_t>(print(scratch, verify) - scratch));
    }
    tlvs = tls->substr(kTlsHead);
  }
  if (name.starts_with("0x")) {
    const auto type = parse_hex(name.substr(2));
    return type ? find_tlv(tlvs, *type, error) : refuse_name("invalid");
  }
  const auto type = tlv_type(name, in_tls);
  return type ? find_tlv(tlvs, *type, error) : refuse_name("unknown");
}

void write_proxy_v1(std::string& out, const net::Address& src, const net::Address& dst) {
  const bool is_ip = (src.is_v4() || src.is_v6()) && (dst.is_v4() || dst.is_v6());
  if (!is_ip) {
    out.append("PROXY UNKNOWN\r\n");
    return;
  }
  // One family for both: an IPv4 address beside an IPv6 one is written as ::ffff:a.b.c.d.
  const bool v6 = src.is_v6() || dst.is_v6();
  out.append(v6 ? "PROXY TCP6 " : "PROXY TCP4 ");
  for (const net::Address* address : {&src, &dst}) {
    if (v6 && address->is_v4()) out.append("::ffff:");
    out.append(address->text()).push_back(' ');
  }
  out.append(std::to_string(src.port())).append(" ").append(std::to_string(dst.port())).append("\r\n");
}

bool write_proxy_v2(std::string& out, const net::Address& src, const net::Address& dst,
                    std::span<const ProxyTlv> tlvs, const ProxyTls* tls) {
  const std::size_t start = out.size();
  const auto undo = [&] {
    out.resize(start);
    return false;
  };
  const bool is_ip = (src.is_v4() || src.is_v6()) && (dst.is_v4() || dst.is_v6());
  const net::Address from = src.unmapped(), to = dst.unmapped();
  const bool v6 = from.is_v6() || to.is_v6();

  out.append(kSignature);
  out.push_back(static_cast<char>(is_ip ? kProxy : kLocal));
  out.push_back(static_cast<char>(is_ip ? (v6 ? kInet6 : kInet) << 4 | kStream : 0));
  out.append(2, '\0');
  if (is_ip) {
    append_address(out, from, v6);
    append_address(out, to, v6);
    append_number(out, src.port(), 2);
    append_number(out, dst.port(), 2);
  }
  for (const ProxyTlv& tlv : tlvs) {
    if (tlv.value.size() > 0xffff) return undo();
    append_tlv(out, tlv);
  }
  if (tls != nullptr) {
    constexpr unsigned kClientTls = 1, kClientCertificate = 2;
    std::string value(1, static_cast<char>(kClientTls | (tls->client_certificate ? kClientCertificate : 0)));
    append_number(value, tls->verify, 4);
    for (const ProxyTlv& tlv : tls->details) append_tlv(value, tlv);
    if (value.size() > 0xffff) return undo();
    append_tlv(out, {proxy_tlv::kTls, value});
  }
  append_tlv(out, {proxy_tlv::kCrc32c, std::string_view("\0\0\0\0", 4)});
  const std::size_t size = out.size() - start - kV2Head;
  if (size > 0xffff) return undo();
  put_number(out.data() + start + 14, static_cast<std::uint32_t>(size), 2);
  put_number(out.data() + out.size() - 4, Crc32c().add(std::string_view(out).substr(start)).value(), 4);
  return true;
}

}  // namespace mp::http
