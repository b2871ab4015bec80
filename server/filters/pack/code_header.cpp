#include "filters/pack/code_header.hpp"

#include <algorithm>

#include "filters/pack/prefix_code.hpp"

namespace mp::filters::pack {
namespace {

// Symbols up to 15 are a length each. These are repetitions, with the number of them in extra bits.
constexpr unsigned kSameAgain = 16;
constexpr unsigned kZeros = 17;
constexpr unsigned kManyZeros = 18;

struct Repetition {
  unsigned symbol;
  unsigned least;
  unsigned most;
};
constexpr Repetition kRepetitions[] = {{kSameAgain, 3, 6}, {kZeros, 3, 10}, {kManyZeros, 11, 138}};

constexpr unsigned extra_bits(unsigned symbol) {
  return symbol < kSameAgain ? 0 : symbol == kSameAgain ? 2 : symbol == kZeros ? 3 : 7;
}

// The order in which the lengths of the code for lengths are listed.
constexpr std::uint8_t kOrder[] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

constexpr unsigned kLeastLiterals = 257;
constexpr unsigned kLeastDistances = 1;
constexpr unsigned kLeastListed = 4;

}  // namespace

CodeHeader::CodeHeader(std::span<const std::uint8_t, kLiteralSymbols> literal_lengths,
                       std::span<const std::uint8_t, kDistanceSymbols> distance_lengths)
    : literals_(kLiteralSymbols), distances_(kDistanceSymbols) {
  while (literals_ > kLeastLiterals && literal_lengths[literals_ - 1] == 0) --literals_;
  while (distances_ > kLeastDistances && distance_lengths[distances_ - 1] == 0) --distances_;
  // The two lists are one: a repetition may go from the first into the second.
  std::array<std::uint8_t, kLiteralSymbols + kDistanceSymbols> all;
  const auto second = std::copy_n(literal_lengths.begin(), literals_, all.begin());
  const auto end = std::copy_n(distance_lengths.begin(), distances_, second);
  for (auto at = all.begin(); at != end;) {
    const auto next = std::find_if(at, end, [&](std::uint8_t length) { return length != *at; });
    add_run(*at, static_cast<std::size_t>(next - at));
    at = next;
  }
  constexpr unsigned kLimit = 7;
  code_lengths(counts_, kLimit, lengths_);
  codes_of(lengths_, codes_);
  while (listed_ > kLeastListed && lengths_[kOrder[listed_ - 1]] == 0) --listed_;
  bits_ = 5 + 5 + 4 + 3 * listed_;
  for (unsigned s = 0; s < kSymbols; ++s) bits_ += counts_[s] * (lengths_[s] + extra_bits(s));
}

void CodeHeader::add(unsigned symbol, unsigned extra) {
  items_[item_count_++] = {static_cast<std::uint8_t>(symbol), static_cast<std::uint8_t>(extra)};
  ++counts_[symbol];
}

void CodeHeader::add_run(unsigned length, std::size_t count) {
  const auto repeat = [&](const Repetition& r) {
    while (count >= r.least) {
      const std::size_t n = std::min<std::size_t>(count, r.most);
      add(r.symbol, static_cast<unsigned>(n - r.least));
      count -= n;
    }
  };
  if (length == 0) {
    repeat(kRepetitions[2]);
    repeat(kRepetitions[1]);
  } else {
    add(length, 0);
    --count;
    repeat(kRepetitions[0]);
  }
  for (; count != 0; --count) add(length, 0);
}

void CodeHeader::write(BitWriter& out) const {
  out.add(literals_ - kLeastLiterals, 5);
  out.add(distances_ - kLeastDistances, 5);
  out.put(listed_ - kLeastListed, 4);
  for (unsigned i = 0; i < listed_; ++i) out.put(lengths_[kOrder[i]], 3);
  for (std::size_t i = 0; i < item_count_; ++i) {
    const Item item = items_[i];
    out.add(codes_[item.symbol], lengths_[item.symbol]);
    out.put(item.extra, extra_bits(item.symbol));
  }
}

}  // namespace mp::filters::pack
