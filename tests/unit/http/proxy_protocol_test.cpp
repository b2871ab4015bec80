#include "http/proxy_protocol.hpp"

#include <string>

#include <catch2/catch.hpp>

using namespace mp;
using namespace mp::http;
using Result = ProxyParse::Result;

namespace {

std::string describe(std::string_view data) {
  ProxyHeader header;
  const ProxyParse parse = parse_proxy_header(data, header);
  if (parse.result == Result::need_more) return "more";
  if (parse.result == Result::error) return parse.error;
  std::string s = std::to_string(parse.consumed);
  if (!header.has_addresses) return s;
  CHECK(header.src.port() == header.src_port);
  CHECK(header.dst.port() == header.dst_port);
  return s + " " + std::string(header.src_address) + " " + std::to_string(header.src_port) + " " +
         std::string(header.dst_address) + " " + std::to_string(header.dst_port);
}

net::Address at(const char* ip, std::uint16_t port) {
  net::Address address = net::parse_ip(ip).value();
  address.set_port(port);
  return address;
}

// A version 2 header around `rest`.
std::string v2(char command, char family, const std::string& rest) {
  std::string s("\r\n\r\n\0\r\nQUIT\n", 12);
  s += command;
  s += family;
  s += static_cast<char>(rest.size() >> 8);
  s += static_cast<char>(rest.size());
  return s + rest;
}

const std::string kInet("\x01\x02\x03\x04\x05\x06\x07\x08\x00\x50\x1f\x90", 12);

}  // namespace

TEST_CASE("PROXY protocol version 1", "[proxy_protocol]") {
  struct Row {
    std::string text;
    std::string result;
  };
  const Row rows[] = {
      {"PROXY TCP4 1.2.3.4 5.6.7.8 80 8080\r\nGET", "36 1.2.3.4 80 5.6.7.8 8080"},
      {"PROXY TCP6 ::1 2001:DB8::2 0 65535\r\n", "36 ::1 0 2001:DB8::2 65535"},
      {"PROXY UNKNOWN\r\nGET", "15"},
      {"PROXY UNKNOWN ffff:f 1 x\r\n", "26"},
      {"PROXY TCP4 1.2.3.4 5.6.7.8 80 8080\r", "more"},
      {"PRO", "more"},
      {"PROXY ", "more"},
      {"GET / HTTP/1.1\r\n", "broken header: \"GET / HTTP/1.1\""},
      {"PROXX", "broken header: \"PROXX\""},
      {"PROXY UDP4 1.2.3.4 5.6.7.8 80 8080\r\n", "broken header: \"PROXY UDP4 1.2.3.4 5.6.7.8 80 8080\""},
      {"PROXY TCP4 1.2.3 5.6.7.8 80 8080\r\n", "broken header: \"PROXY TCP4 1.2.3 5.6.7.8 80 8080\""},
      {"PROXY TCP4 1.2.3.4 5.6.7.8 80\r\n", "broken header: \"PROXY TCP4 1.2.3.4 5.6.7.8 80\""},
      {"PROXY TCP4 1.2.3.4 5.6.7.8 80 8080 \r\n", "broken header: \"PROXY TCP4 1.2.3.4 5.6.7.8 80 8080 \""},
      {"PROXY TCP4 1.2.3.4 5.6.7.8 80 65536\r\n", "broken header: \"PROXY TCP4 1.2.3.4 5.6.7.8 80 65536\""},
      {"PROXY TCP4 1.2.3.4 5.6.7.8 80 000080\r\n", "broken header: \"PROXY TCP4 1.2.3.4 5.6.7.8 80 000080\""},
      {"PROXY TCP4  1.2.3.4 5.6.7.8 80 80\r\n", "broken header: \"PROXY TCP4  1.2.3.4 5.6.7.8 80 80\""},
      {"PROXY TCP4 1.2.3.4 5.6.7.8 80 8080\nGET", "broken header: \"PROXY TCP4 1.2.3.4 5.6.7.8 80 8080\""},
      {"PROXY UNKNOWN a\nb\r\n", "broken header: \"PROXY UNKNOWN a\""},
      {"PROXY UNKNOWN a\rb\r\n", "broken header: \"PROXY UNKNOWN a\""},
      {"PROXY UNKNOWNX\r\n", "broken header: \"PROXY UNKNOWNX\""},
      {"PROXY " + std::string(101, 'x'), "broken header: \"PROXY " + std::string(101, 'x') + "\""},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    CHECK(describe(row.text) == row.result);
    if (row.result.find("broken") == std::string::npos && row.result != "more") {
      const auto size = std::stoul(row.result);
      for (std::size_t cut = 0; cut < size; ++cut) CHECK(describe(row.text.substr(0, cut)) == "more");
    }
  }
}

TEST_CASE("PROXY protocol version 2", "[proxy_protocol]") {
  CHECK(describe(v2(0x21, 0x11, kInet) + "GET") == "28 1.2.3.4 80 5.6.7.8 8080");
  std::string inet6(36, '\0');
  inet6[15] = inet6[31] = 1;
  inet6[33] = 7;
  CHECK(describe(v2(0x21, 0x21, inet6)) == "52 ::1 7 ::1 0");
  CHECK(describe(v2(0x20, 0x00, "")) == "16");
  CHECK(describe(v2(0x20, 0x11, kInet)) == "28");
  CHECK(describe(v2(0x21, 0x12, kInet)) == "28");
  CHECK(describe(v2(0x21, 0x31, std::string(216, 'x'))) == "232");
  CHECK(describe(v2(0x31, 0x11, kInet)) == "unknown PROXY protocol version: 3");
  CHECK(describe(v2(0x21, 0x11, "1234")) == "broken header: addresses are cut off");
  CHECK(describe(v2(0x21, 0x11, std::string(4090, 'x'))) == "header is too large");
  const std::string whole = v2(0x21, 0x11, kInet + "\x01" + std::string(1, '\0') + "\x02h2");
  for (std::size_t cut = 0; cut < whole.size(); ++cut) CHECK(describe(whole.substr(0, cut)) == "more");
}

TEST_CASE("what is written is read back", "[proxy_protocol]") {
  std::string out;
  write_proxy_v1(out, at("1.2.3.4", 80), at("5.6.7.8", 8080));
  CHECK(out == "PROXY TCP4 1.2.3.4 5.6.7.8 80 8080\r\n");
  out.clear();
  write_proxy_v1(out, at("::1", 1), at("5.6.7.8", 2));
  CHECK(out == "PROXY TCP6 ::1 ::ffff:5.6.7.8 1 2\r\n");
  out.clear();
  write_proxy_v1(out, net::Address::unix_path("/s").value(), at("::1", 2));
  CHECK(out == "PROXY UNKNOWN\r\n");

  const ProxyTlv details[] = {{proxy_tlv::kTlsVersion, "TLSv1.3"}, {proxy_tlv::kTlsCipher, "X"}};
  const ProxyTls tls{.client_certificate = true, .verify = 19, .details = details};
  const ProxyTlv tlvs[] = {{proxy_tlv::kAuthority, "a.b"}, {0xea, "custom"}};
  out = "before";
  REQUIRE(write_proxy_v2(out, at("1.2.3.4", 80), at("::ffff:5.6.7.8", 8080), tlvs, &tls));
  const std::string sent = out.substr(6);
  CHECK(describe(sent) == std::to_string(sent.size()) + " 1.2.3.4 80 5.6.7.8 8080");

  ProxyHeader header;
  REQUIRE(parse_proxy_header(sent, header).result == Result::complete);
  char scratch[16];
  std::string error;
  const auto tlv = [&](const char* name) {
    error.clear();
    return std::string(find_proxy_tlv(header.tlvs, name, scratch, &error).value_or("-"));
  };
  CHECK(tlv("authority") == "a.b");
  CHECK(tlv("0xea") == "custom");
  CHECK(tlv("0xEA") == "custom");
  CHECK(tlv("ssl_version") == "TLSv1.3");
  CHECK(tlv("ssl_0x23") == "X");
  CHECK(tlv("ssl_verify") == "19");
  CHECK(tlv("alpn") == "-");
  CHECK(tlv("ssl_cn") == "-");
  CHECK(error.empty());
  CHECK(tlv("nope") == "-");
  CHECK(error == "unknown PROXY protocol TLV \"nope\"");
  CHECK(tlv("ssl_0xzz") == "-");
  CHECK(error == "invalid PROXY protocol TLV \"ssl_0xzz\"");

  // The checksum is for those who want it: a header is taken as it is, like nginx takes it.
  std::string other_sum = sent;
  other_sum.back() = static_cast<char>(other_sum.back() ^ 1);
  ProxyHeader same;
  CHECK(parse_proxy_header(other_sum, same).result == Result::complete);
  CHECK(same.src_port == header.src_port);

  out.clear();
  REQUIRE(write_proxy_v2(out, at("1.2.3.4", 80), at("::1", 8080)));
  CHECK(describe(out) == std::to_string(out.size()) + " ::ffff:1.2.3.4 80 ::1 8080");
  out.clear();
  REQUIRE(write_proxy_v2(out, net::Address(), at("::1", 8080)));
  CHECK(describe(out) == std::to_string(out.size()));

  const std::string huge(0xfff0, 'x');
  const ProxyTlv too_much[] = {{1, huge}, {2, huge}};
  out = "kept";
  CHECK_FALSE(write_proxy_v2(out, at("1.2.3.4", 80), at("5.6.7.8", 8080), too_much));
  CHECK(out == "kept");
}

TEST_CASE("broken TLV lists", "[proxy_protocol]") {
  char scratch[16];
  std::string error;
  CHECK_FALSE(find_proxy_tlv("\x01", "alpn", scratch, &error));
  CHECK(error == "broken PROXY protocol TLV");
  error.clear();
  CHECK_FALSE(find_proxy_tlv(std::string_view("\x02\x00\x05x", 4), "alpn", scratch, &error));
  CHECK(error == "broken PROXY protocol TLV");
  CHECK_FALSE(find_proxy_tlv(std::string_view("\x20\x00\x01x", 4), "ssl_verify", scratch));
  CHECK_FALSE(find_proxy_tlv("", "alpn", scratch));
}
