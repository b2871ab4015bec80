// Prefix codes of RFC 1951, section 3.2.2: from how often symbols occur to the bits each is written in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mp::filters::pack {

constexpr std::size_t kMostSymbols = 288;

// The lengths of a complete code that is as short as any with no length above `limit`, or very nearly. 0 for
// a symbol that does not occur; but at least two symbols get a code, since some readers insist on a complete
// one. At most 288 symbols (2^limit of them occurring), of which all together occur less than 2^32 times.
void code_lengths(std::span<const std::uint32_t> counts, unsigned limit, std::span<std::uint8_t> lengths);

// The codes that go with the lengths, their first bit lowest, as they are written.
void codes_of(std::span<const std::uint8_t> lengths, std::span<std::uint16_t> codes);

}  // namespace mp::filters::pack
