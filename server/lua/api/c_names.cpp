// Functions that libraries look up by the names they have in nginx (ffi.C.ngx_hex_dump): lua-resty-string,
// and those that hash keys. Not used by ourselves.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/digest.hpp"
#include "base/numbers.hpp"

extern "C" {

// Lower case hexadecimal; where it ends.
unsigned char* ngx_hex_dump(unsigned char* out, const unsigned char* bytes, std::size_t size) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (std::size_t i = 0; i < size; ++i) {
    *out++ = static_cast<unsigned char>(kDigits[bytes[i] >> 4]);
    *out++ = static_cast<unsigned char>(kDigits[bytes[i] & 15]);
  }
  return out;
}

// A decimal number, or -1.
std::intptr_t ngx_atoi(const unsigned char* text, std::size_t size) {
  return mp::parse_natural<std::intptr_t>({reinterpret_cast<const char*>(text), size}).value_or(-1);
}

std::uint32_t ngx_murmur_hash2(const unsigned char* bytes, std::size_t size) {
  return mp::murmur2({reinterpret_cast<const char*>(bytes), size});
}
}
