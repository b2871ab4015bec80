// PROXY protocol headers: a header is complete at one length only, and addresses written again read back.
#include "http/proxy_protocol.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace mp;
using namespace mp::http;
using Result = ProxyParse::Result;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string data(reinterpret_cast<const char*>(bytes), size);
  ProxyHeader header;
  const ProxyParse parse = parse_proxy_header(data, header);
  require((parse.result == Result::error) == !parse.error.empty());
  if (parse.result != Result::complete) return 0;
  require(parse.consumed > 0 && parse.consumed <= size);

  const std::string exact = data.substr(0, parse.consumed), shorter = data.substr(0, parse.consumed - 1);
  ProxyHeader again;
  require(parse_proxy_header(exact, again).result == Result::complete);
  require(again.has_addresses == header.has_addresses && again.src_address == header.src_address);
  ProxyHeader early;
  require(parse_proxy_header(shorter, early).result == Result::need_more);

  char scratch[16];
  for (const char* name : {"alpn", "authority", "ssl", "ssl_verify", "ssl_cn", "0x30", "ssl_0x25", "nope"}) {
    const auto value = find_proxy_tlv(header.tlvs, name, scratch);
    if (value) require(value->size() <= header.tlvs.size() + sizeof scratch);
  }
  if (!header.has_addresses) return 0;
  std::string v1, v2;
  write_proxy_v1(v1, header.src, header.dst);
  require(v1.size() <= kProxyV1Max);
  require(write_proxy_v2(v2, header.src, header.dst));
  ProxyHeader one, two;
  require(parse_proxy_header(v1, one).result == Result::complete && one.has_addresses);
  require(parse_proxy_header(v2, two).result == Result::complete && two.has_addresses);
  require(one.src_port == header.src_port && two.dst_port == header.dst_port);
  require(one.src.unmapped() == header.src.unmapped() && two.dst.unmapped() == header.dst.unmapped());
  return 0;
}
