// Looking at sixteen bytes of a head at once, inline for parsers whose loops want that. What is left of a
// text that is shorter is for find_control() and skip_plain_name() of strict.hpp.
#pragma once

#include <bit>

#include "base/sixteen.hpp"
#include "http/strict.hpp"

namespace mp::http {

#if MP_SIXTEEN

// As find_control().
inline const char* find_control_inline(const char* p, const char* end) {
  for (; end - p >= 16; p += 16) {
    if (const unsigned hit = controls(sixteen::load(p)); hit != 0) return p + std::countr_zero(hit);
  }
  return find_control(p, end);
}

// The first ':', or `end`; no farther away than a name that has an id, which is what it is for.
inline const char* find_colon(const char* p, const char* end) {
  for (int i = 0; i < 2 && end - p >= 16; ++i, p += 16) {
    const unsigned hit = sixteen::mask(sixteen::is(sixteen::load(p), ':'));
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
