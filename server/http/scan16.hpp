// Looking at sixteen bytes of a head at once, inline for parsers whose loops want that. What is left of a
// text that is shorter is for find_control() and skip_plain_name() of strict.hpp.
#pragma once

#include <bit>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "http/strict.hpp"

namespace mp::http {

#if defined(__SSE2__)

namespace scan16 {

inline __m128i load(const char* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}

// For each of 16 bytes, the first lowest: it is between `from` and `from` + `more`.
inline __m128i within(__m128i bytes, char from, char more) {
  const __m128i offset = _mm_sub_epi8(bytes, _mm_set1_epi8(from));
  return _mm_cmpeq_epi8(_mm_min_epu8(offset, _mm_set1_epi8(more)), offset);
}

// A bit for each byte that is a control other than tab.
inline unsigned controls(__m128i bytes) {
  const __m128i low = within(bytes, 0, 0x1f);
  const __m128i rubout = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
  const __m128i tab = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t'));
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_andnot_si128(tab, _mm_or_si128(low, rubout))));
}

}  // namespace scan16

// As find_control().
inline const char* find_control_inline(const char* p, const char* end) {
  for (; end - p >= 16; p += 16) {
    if (const unsigned hit = scan16::controls(scan16::load(p)); hit != 0) return p + std::countr_zero(hit);
  }
  return find_control(p, end);
}

// The first ':', or `end`; no farther away than a name that has an id, which is what it is for.
inline const char* find_colon(const char* p, const char* end) {
  for (int i = 0; i < 2 && end - p >= 16; ++i, p += 16) {
    const __m128i colons = _mm_cmpeq_epi8(scan16::load(p), _mm_set1_epi8(':'));
    const auto hit = static_cast<unsigned>(_mm_movemask_epi8(colons));
    if (hit != 0) return p + std::countr_zero(hit);
  }
  return end;
}

#else

inline const char* find_control_inline(const char* p, const char* end) {
  return find_control(p, end);
}
inline const char* find_colon(const char*, const char* end) {
  return end;
}

#endif

}  // namespace mp::http
