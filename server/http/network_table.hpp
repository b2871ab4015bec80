// Values by client address, for geo: NetworkTable finds the longest network around an address, RangeTable the
// range of IPv4 addresses that contains it. Values are views that the owner keeps alive. Both belong to the
// configuration.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "net/address.hpp"
#include "net/cidr.hpp"

namespace mp::http {

class NetworkTable {
 public:
  // The value that the network had before, when it was there already.
  std::optional<std::string_view> set(const net::Cidr& network, std::string_view value);
  bool remove(const net::Cidr& network);
  // IPv4-mapped IPv6 addresses are looked up as IPv4.
  std::optional<std::string_view> find(const net::Address& address) const;
  bool empty() const { return lengths_[0].empty() && lengths_[1].empty(); }

 private:
  struct Key {
    int family;
    std::uint8_t prefix;
    std::array<std::uint8_t, 16> bits;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const;
  };
  static Key key_of(const net::Cidr& network);
  std::vector<std::uint8_t>& lengths_of(int family) { return lengths_[family == AF_INET6]; }

  std::unordered_map<Key, std::string_view, Hash> networks_;
  std::vector<std::uint8_t> lengths_[2];  // prefix lengths in use, the longest first; IPv4, IPv6
};

// Ranges must not overlap, except that a later one may lie inside an earlier one and cuts it. They are kept
// in blocks of 65536 addresses, and a range is deleted when it was added with the same ends within each
// block.
class RangeTable {
 public:
  struct Range {
    std::uint32_t first, last;
    std::string_view value;
  };
  struct Conflict {
    Range with;
    bool duplicate;  // the same range: its value was replaced; else they overlap and nothing was added
  };
  // Tells each conflict; false when one was an overlap.
  bool add(std::uint32_t first, std::uint32_t last, std::string_view value,
           const std::function<void(const Conflict&)>& tell);
  bool remove(std::uint32_t first, std::uint32_t last);  // false: some of it was not there
  std::optional<std::string_view> find(std::uint32_t address) const;
  bool empty() const { return blocks_.empty(); }

 private:
  using Block = std::vector<Range>;  // in order
  static std::optional<Conflict> add_to(Block& block, Range range);

  std::unordered_map<std::uint16_t, Block> blocks_;
};

}  // namespace mp::http
