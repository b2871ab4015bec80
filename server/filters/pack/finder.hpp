// Finds where text occurred before. For each hash of four bytes the newest positions are kept, newest first,
// and all are looked at at once: on x86-64 eight of them are compared in as many steps as one or two take in
// a chain. A view of one body and of a table that the owner keeps; lives while the body is compressed.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "base/sixteen.hpp"
#include "filters/pack/symbols.hpp"

namespace mp::filters::pack {

struct Match {
  unsigned length = 0;  // 0: none
  unsigned distance = 0;
};

// Eight positions in the text modulo 65536: with a window of 32 KB that says which are meant.
struct alignas(16) Positions {
  std::uint16_t at[8];
};
// Where text is, from where it may occur again: -1 to -32768.
struct alignas(16) Offsets {
  std::int16_t to[8];
};

template <class Word>
Word load(const Byte* p) {
  Word word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

// The bytes at `p` that are those at `q`, at most `most`.
[[gnu::always_inline]] inline unsigned common(const Byte* p, const Byte* q, unsigned most) {
  unsigned n = 0;
#if MP_SIXTEEN
  for (; n + 16 <= most; n += 16) {
    const auto there = reinterpret_cast<const char*>(q + n);
    const auto same = sixteen::mask(
        _mm_cmpeq_epi8(sixteen::load(reinterpret_cast<const char*>(p + n)), sixteen::load(there)));
    if (same != 0xffff) return n + static_cast<unsigned>(std::countr_one(same));
  }
#endif
  while (n < most && p[n] == q[n]) ++n;
  return n;
}

#if MP_SIXTEEN

// `newest` goes to the front; returns what had to go.
[[gnu::always_inline]] inline std::uint16_t push(Positions& positions, std::uint16_t newest) {
  auto* const p = reinterpret_cast<__m128i*>(positions.at);
  const __m128i old = _mm_load_si128(p);
  _mm_store_si128(p, _mm_insert_epi16(_mm_slli_si128(old, 2), newest, 0));
  return static_cast<std::uint16_t>(_mm_extract_epi16(old, 7));
}

// What is out of reach becomes -1, which is as good a guess as any.
[[gnu::always_inline]] inline Offsets offsets(const Positions& positions, std::uint16_t here) {
  const __m128i all = _mm_load_si128(reinterpret_cast<const __m128i*>(positions.at));
  const __m128i far = _mm_sub_epi16(all, _mm_set1_epi16(static_cast<short>(here)));
  Offsets out;
  _mm_store_si128(reinterpret_cast<__m128i*>(out.to), _mm_min_epi16(far, _mm_set1_epi16(-1)));
  return out;
}

// A bit for each of the places that has the four bytes at `p`.
[[gnu::always_inline]] inline unsigned same_four(const Byte* p, const Offsets& o) {
  const auto word = [&](int i) { return _mm_cvtsi32_si128(load<int>(p + o.to[i])); };
  const auto four = [&](int i) {
    return _mm_unpacklo_epi64(_mm_unpacklo_epi32(word(i), word(i + 1)),
                              _mm_unpacklo_epi32(word(i + 2), word(i + 3)));
  };
  const __m128i here = _mm_set1_epi32(load<int>(p));
  const __m128i same = _mm_packs_epi32(_mm_cmpeq_epi32(four(0), here), _mm_cmpeq_epi32(four(4), here));
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_packs_epi16(same, _mm_setzero_si128())));
}

#else

inline std::uint16_t push(Positions& positions, std::uint16_t newest) {
  const std::uint16_t oldest = positions.at[7];
  std::copy_backward(positions.at, positions.at + 7, positions.at + 8);
  positions.at[0] = newest;
  return oldest;
}

// What is out of reach becomes -1, which is as good a guess as any.
inline Offsets offsets(const Positions& positions, std::uint16_t here) {
  Offsets out;
  for (int i = 0; i < 8; ++i) {
    const auto far = static_cast<std::int16_t>(static_cast<std::uint16_t>(positions.at[i] - here));
    out.to[i] = std::min<std::int16_t>(far, -1);
  }
  return out;
}

// A bit for each of the places that has the four bytes at `p`.
inline unsigned same_four(const Byte* p, const Offsets& o) {
  const auto here = load<std::uint32_t>(p);
  unsigned same = 0;
  for (int i = 0; i < 8; ++i) same |= static_cast<unsigned>(load<std::uint32_t>(p + o.to[i]) == here) << i;
  return same;
}

#endif

// kEights: how many times eight positions are kept for a hash.
template <unsigned kEights>
class Finder {
 public:
  static constexpr unsigned kShortest = 4;  // what is found has at least so many bytes

  // The table has kEights entries for each of a power of two of hashes, all zero.
  Finder(std::span<Positions> table, const Byte* text, const Byte* end)
      : table_(table.data()),
        shift_(33 - static_cast<unsigned>(std::bit_width(table.size() / kEights))),
        text_(text),
        end_(end) {}

  // What begins at `p` can be found from now on. There are at least kShortest bytes at `p`.
  [[gnu::always_inline]] void note(const Byte* p) {
    std::uint16_t position = position_of(p);
    Positions* const entry = entry_of(p);
#pragma GCC unroll 4
    for (unsigned i = 0; i < kEights; ++i) position = push(entry[i], position);
  }

  // note(p), which is not the first byte of the text. The longest match there that is longer than `than` (at
  // least kShortest - 1), of several the nearest.
  [[gnu::always_inline]] Match longer(const Byte* p, unsigned than) {
    constexpr unsigned kCompared = 4;
    std::uint16_t position = position_of(p);
    const std::uint16_t here = position;
    Positions* const entry = entry_of(p);
    const auto most = static_cast<unsigned>(std::min<std::ptrdiff_t>(kLongest, end_ - p));
    Match best;
#pragma GCC unroll 4
    for (unsigned i = 0; i < kEights; ++i) {
      const Offsets o = offsets(entry[i], here);
      position = push(entry[i], position);
      if (than >= most) continue;
      // A longer match has the byte behind `than`, too: this and those before it are compared first.
      unsigned left = same_four(p + than + 1 - kCompared, o);
      while (left != 0) {
        const int offset = o.to[std::countr_zero(left)];
        left &= left - 1;
        const unsigned length = common(p, p + offset, most);
        if (length <= than) continue;
        best = {length, static_cast<unsigned>(-offset)};
        than = length;
        if (length == most) break;
        if (left != 0) left &= same_four(p + than + 1 - kCompared, o);
      }
    }
    return best;
  }

 private:
  std::uint16_t position_of(const Byte* p) const { return static_cast<std::uint16_t>(p - text_); }
  Positions* entry_of(const Byte* p) const {
    constexpr std::uint32_t kGoldenRatio = 0x9e3779b1;
    return table_ + kEights * std::size_t{(load<std::uint32_t>(p) * kGoldenRatio) >> shift_};
  }

  Positions* table_;
  unsigned shift_;
  const Byte* text_;
  const Byte* end_;
};

}  // namespace mp::filters::pack
