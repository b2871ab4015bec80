// Sixteen bytes at a time, where the processor can: what the parsers use to look at many characters at once.
// Callers have code of their own for where MP_SIXTEEN is 0. Pure functions; only the bytes named are read.
#pragma once

#if defined(__SSE2__)
#define MP_SIXTEEN 1

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <emmintrin.h>

namespace mp::sixteen {

using Bytes = __m128i;

inline Bytes load(const char* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}

namespace detail {
template <class Word>
std::uint64_t word(const char* p) {
  Word w;
  std::memcpy(&w, p, sizeof w);
  return w;
}
}  // namespace detail

// The `size` bytes at `p`, at most sixteen of them; zeros behind.
inline Bytes load(const char* p, std::size_t size) {
  using detail::word;
  if (size >= 16) return load(p);
  if (size > 8) {
    const std::uint64_t high = word<std::uint64_t>(p + size - 8) >> (8 * (16 - size));
    return _mm_set_epi64x(static_cast<long long>(high), static_cast<long long>(word<std::uint64_t>(p)));
  }
  std::uint64_t low = 0;
  if (size >= 4) {
    low = word<std::uint32_t>(p) | word<std::uint32_t>(p + size - 4) << (8 * (size - 4));
  } else if (size != 0) {
    const std::size_t middle = size / 2;
    low = word<std::uint8_t>(p) | word<std::uint8_t>(p + middle) << (8 * middle) |
          word<std::uint8_t>(p + size - 1) << (8 * (size - 1));
  }
  return _mm_set_epi64x(0, static_cast<long long>(low));
}

// Bytes that are all ones where the answer is yes.
inline Bytes is(Bytes bytes, char c) {
  return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c));
}
// ... between `from` and `from` + `more`.
inline Bytes within(Bytes bytes, char from, char more) {
  const Bytes offset = _mm_sub_epi8(bytes, _mm_set1_epi8(from));
  return _mm_cmpeq_epi8(_mm_min_epu8(offset, _mm_set1_epi8(more)), offset);
}
inline Bytes either(Bytes a, Bytes b) {
  return _mm_or_si128(a, b);
}

// A bit for each byte with an answer of yes, the first lowest.
inline unsigned mask(Bytes answers) {
  return static_cast<unsigned>(_mm_movemask_epi8(answers));
}
// Bits for the first `size` bytes, at most sixteen.
inline unsigned first(std::size_t size) {
  return (1u << size) - 1;
}

}  // namespace mp::sixteen

#else
#define MP_SIXTEEN 0
#endif
