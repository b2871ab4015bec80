// MurmurHash2, 32 bits, seed = length: the hash that decides who is in which part of split_clients.
// Established: the same key must fall into the same part whichever server asks.
#pragma once

#include <cstdint>
#include <string_view>

namespace mp::http {

constexpr std::uint32_t murmur_hash2(std::string_view text) {
  constexpr std::uint32_t kMultiplier = 0x5bd1e995;
  auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
  std::uint32_t hash = static_cast<std::uint32_t>(text.size());
  std::size_t i = 0;
  for (; text.size() - i >= 4; i += 4) {
    std::uint32_t k = byte(i) | byte(i + 1) << 8 | byte(i + 2) << 16 | byte(i + 3) << 24;
    k *= kMultiplier;
    k ^= k >> 24;
    k *= kMultiplier;
    hash = hash * kMultiplier ^ k;
  }
  const std::size_t left = text.size() - i;
  if (left != 0) {
    for (std::size_t n = left; n-- > 0;) hash ^= byte(i + n) << (8 * n);
    hash *= kMultiplier;
  }
  hash ^= hash >> 13;
  hash *= kMultiplier;
  return hash ^ hash >> 15;
}

}  // namespace mp::http
