#include "filters/pack/prefix_code.hpp"

#include <algorithm>
#include <array>

namespace mp::filters::pack {
namespace {

constexpr unsigned kMostBits = 15;

struct Leaf {
  std::uint32_t count;
  std::uint32_t symbol;
};

// Huffman's tree over leaves in the order of their counts: how deep each of them is. Inner nodes come into
// being in the order of their counts, too, so the two smallest nodes are always at the front of one of two
// queues.
void depths_of(std::span<const Leaf> leaves, std::span<std::uint16_t> depth) {
  const std::size_t n = leaves.size();
  std::array<std::uint32_t, 2 * kMostSymbols> count;
  std::array<std::uint16_t, 2 * kMostSymbols> parent;
  for (std::size_t i = 0; i < n; ++i) count[i] = leaves[i].count;
  std::size_t leaf = 0;
  std::size_t inner = n;
  for (std::size_t made = n; made < 2 * n - 1; ++made) {
    const auto smallest = [&] {
      const bool take_leaf = leaf < n && (inner == made || count[leaf] <= count[inner]);
      const std::size_t node = take_leaf ? leaf++ : inner++;
      parent[node] = static_cast<std::uint16_t>(made);
      return count[node];
    };
    const std::uint32_t first = smallest();
    count[made] = first + smallest();
  }
  depth[2 * n - 2] = 0;
  for (std::size_t i = 2 * n - 2; i-- > 0;) depth[i] = static_cast<std::uint16_t>(depth[parent[i]] + 1);
}

// When longer codes were cut to `limit` bits, there are more of these than there is room for. A shorter code
// moves one bit down, which makes room beside it for one of them, until all fit.
void make_fit(std::span<std::uint32_t> codes_per_length, unsigned limit) {
  std::uint64_t taken = 0;
  for (unsigned bits = 1; bits <= limit; ++bits)
    taken += std::uint64_t{codes_per_length[bits]} << (limit - bits);
  for (; taken > std::uint64_t{1} << limit; --taken) {
    unsigned bits = limit - 1;
    while (codes_per_length[bits] == 0) --bits;
    --codes_per_length[bits];
    codes_per_length[bits + 1] += 2;
    --codes_per_length[limit];
  }
}

std::uint16_t reversed(std::uint32_t code, unsigned bits) {
  code = (code & 0x5555) << 1 | (code >> 1 & 0x5555);
  code = (code & 0x3333) << 2 | (code >> 2 & 0x3333);
  code = (code & 0x0f0f) << 4 | (code >> 4 & 0x0f0f);
  code = (code & 0x00ff) << 8 | (code >> 8 & 0x00ff);
  return static_cast<std::uint16_t>(code >> (16 - bits));
}

}  // namespace

void code_lengths(std::span<const std::uint32_t> counts, unsigned limit, std::span<std::uint8_t> lengths) {
  std::array<Leaf, kMostSymbols> leaves;
  std::size_t n = 0;
  for (std::uint32_t s = 0; s < counts.size(); ++s) {
    lengths[s] = 0;
    if (counts[s] != 0) leaves[n++] = {counts[s], s};
  }
  for (std::uint32_t s = 0; n < 2; ++s) {
    if (n == 0 || leaves[0].symbol != s) leaves[n++] = {1, s};
  }
  std::sort(leaves.begin(), leaves.begin() + n, [](const Leaf& a, const Leaf& b) {
    return a.count != b.count ? a.count < b.count : a.symbol < b.symbol;
  });
  std::array<std::uint16_t, 2 * kMostSymbols> depth;
  depths_of({leaves.data(), n}, depth);
  std::array<std::uint32_t, kMostBits + 1> codes_per_length{};
  for (std::size_t i = 0; i < n; ++i) ++codes_per_length[std::min<unsigned>(depth[i], limit)];
  make_fit(codes_per_length, limit);
  std::size_t rarest = 0;
  for (unsigned bits = limit; bits > 0; --bits) {
    for (std::uint32_t k = codes_per_length[bits]; k != 0; --k)
      lengths[leaves[rarest++].symbol] = static_cast<std::uint8_t>(bits);
  }
}

void codes_of(std::span<const std::uint8_t> lengths, std::span<std::uint16_t> codes) {
  std::array<std::uint32_t, kMostBits + 1> of_length{};
  for (const std::uint8_t bits : lengths) ++of_length[bits];
  of_length[0] = 0;
  std::array<std::uint32_t, kMostBits + 1> next{};
  for (unsigned bits = 1; bits <= kMostBits; ++bits) next[bits] = (next[bits - 1] + of_length[bits - 1]) << 1;
  for (std::size_t s = 0; s < lengths.size(); ++s) {
    const unsigned bits = lengths[s];
    codes[s] = bits == 0 ? std::uint16_t{0} : reversed(next[bits]++, bits);
  }
}

}  // namespace mp::filters::pack
