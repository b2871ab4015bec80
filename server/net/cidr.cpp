#include "net/cidr.hpp"

#include <cstring>

#include "base/numbers.hpp"

namespace mp::net {

bool Cidr::contains(const Address& client) const {
  if (client.is_unix()) return family == AF_UNIX;
  const Address address_of_client = family == AF_INET ? client.unmapped() : client;
  if (address_of_client.family() != family) return false;
  const std::string_view bytes = address_of_client.binary();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if ((static_cast<std::uint8_t>(bytes[i]) & mask[i]) != address[i]) return false;
  }
  return true;
}

std::optional<ParsedCidr> parse_cidr(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto base = parse_ip(text.substr(0, slash));
  if (!base) return std::nullopt;
  const std::string_view bytes = base->binary();
  const unsigned bits = static_cast<unsigned>(bytes.size()) * 8;

  unsigned prefix = bits;
  if (slash != std::string_view::npos) {
    const auto parsed = parse_unsigned<unsigned>(text.substr(slash + 1), bits);
    if (!parsed) return std::nullopt;
    prefix = *parsed;
  }

  ParsedCidr result;
  Cidr& block = result.block;
  block.family = base->family();
  block.prefix = static_cast<std::uint8_t>(prefix);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const unsigned kept = prefix > 8 ? 8 : prefix;
    prefix -= kept;
    const auto byte = static_cast<std::uint8_t>(bytes[i]);
    block.mask[i] = static_cast<std::uint8_t>(0xff00u >> kept);
    block.address[i] = byte & block.mask[i];
    result.low_bits_meaningless |= block.address[i] != byte;
  }
  return result;
}

}  // namespace mp::net
