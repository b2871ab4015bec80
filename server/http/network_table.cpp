#include "http/network_table.hpp"

#include <algorithm>
#include <cstring>

#include "base/ascii.hpp"

namespace mp::http {

std::size_t NetworkTable::Hash::operator()(const Key& key) const {
  const std::string_view bits(reinterpret_cast<const char*>(key.bits.data()), key.bits.size());
  return hash_text(bits, static_cast<std::uint64_t>(key.prefix) << 8 | (key.family == AF_INET6));
}

NetworkTable::Key NetworkTable::key_of(const net::Cidr& network) {
  Key key{network.family, network.prefix, {}};
  std::memcpy(key.bits.data(), network.address, key.bits.size());
  return key;
}

std::optional<std::string_view> NetworkTable::set(const net::Cidr& network, std::string_view value) {
  auto [it, fresh] = networks_.emplace(key_of(network), value);
  if (!fresh) return std::exchange(it->second, value);
  auto& lengths = lengths_of(network.family);
  const auto place = std::lower_bound(lengths.begin(), lengths.end(), network.prefix, std::greater<>());
  if (place == lengths.end() || *place != network.prefix) lengths.insert(place, network.prefix);
  return std::nullopt;
}

bool NetworkTable::remove(const net::Cidr& network) {
  return networks_.erase(key_of(network)) != 0;
}

std::optional<std::string_view> NetworkTable::find(const net::Address& client) const {
  const net::Address address = client.unmapped();
  if (!address.is_v4() && !address.is_v6()) return std::nullopt;
  const std::string_view bytes = address.binary();
  Key key{address.family(), 0, {}};
  std::memcpy(key.bits.data(), bytes.data(), bytes.size());
  for (const std::uint8_t prefix : lengths_[address.is_v6()]) {
    key.prefix = prefix;
    for (std::size_t i = prefix / 8; i < bytes.size(); ++i) {
      const unsigned kept = i == prefix / 8 ? prefix % 8 : 0;
      key.bits[i] &= static_cast<std::uint8_t>(0xff00u >> kept);
    }
    if (auto it = networks_.find(key); it != networks_.end()) return it->second;
  }
  return std::nullopt;
}

std::optional<RangeTable::Conflict> RangeTable::add_to(Block& block, Range range) {
  auto after = std::lower_bound(block.begin(), block.end(), range.first,
                                [](const Range& r, std::uint32_t first) { return r.last < first; });
  if (after == block.end() || range.last < after->first) {
    block.insert(after, range);
    return std::nullopt;
  }
  Range& old = *after;
  if (old.first == range.first && old.last == range.last) {
    const Conflict conflict{old, true};
    old.value = range.value;
    return conflict;
  }
  if (range.first < old.first || range.last > old.last) return Conflict{old, false};
  const Range left{old.first, range.first - 1, old.value};
  const Range right{range.last + 1, old.last, old.value};
  const bool keeps_left = old.first < range.first;
  const bool keeps_right = range.last < old.last;
  old = range;
  if (keeps_right) after = std::prev(block.insert(std::next(after), right));
  if (keeps_left) block.insert(after, left);
  return std::nullopt;
}

bool RangeTable::add(std::uint32_t first, std::uint32_t last, std::string_view value,
                     const std::function<void(const Conflict&)>& tell) {
  bool good = true;
  for (std::uint32_t high = first >> 16; high <= last >> 16 && good; ++high) {
    const Range part{std::max(first, high << 16), std::min(last, high << 16 | 0xffff), value};
    if (const auto conflict = add_to(blocks_[static_cast<std::uint16_t>(high)], part)) {
      tell(*conflict);
      good = conflict->duplicate;
    }
  }
  return good;
}

bool RangeTable::remove(std::uint32_t first, std::uint32_t last) {
  bool all = true;
  for (std::uint32_t high = first >> 16; high <= last >> 16; ++high) {
    const std::uint32_t from = std::max(first, high << 16);
    const std::uint32_t to = std::min(last, high << 16 | 0xffff);
    auto it = blocks_.find(static_cast<std::uint16_t>(high));
    if (it == blocks_.end()) {
      all = false;
      continue;
    }
    all &= std::erase_if(it->second, [&](const Range& r) { return r.first == from && r.last == to; }) != 0;
  }
  return all;
}

std::optional<std::string_view> RangeTable::find(std::uint32_t address) const {
  const auto it = blocks_.find(static_cast<std::uint16_t>(address >> 16));
  if (it == blocks_.end()) return std::nullopt;
  const auto range = std::lower_bound(it->second.begin(), it->second.end(), address,
                                      [](const Range& r, std::uint32_t a) { return r.last < a; });
  if (range == it->second.end() || range->first > address) return std::nullopt;
  return range->value;
}

}  // namespace mp::http
