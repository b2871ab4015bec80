// Digests and checksums: MD5, SHA-1, SHA-256, HMAC, CRC-32, Murmur 2, and random bytes. One-shot functions
// return the bytes; the classes take a message in pieces. Nothing here allocates. MD5 and SHA-1 are for
// formats that name them (entity keys, secure links, digests in Lua), not for new security.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <openssl/md5.h>
#include <openssl/sha.h>

namespace mp {

template <std::size_t N>
using DigestBytes = std::array<std::uint8_t, N>;

// A message digest in the making: add() any number of times, then finish() once.
class Md5 {
 public:
  static constexpr std::size_t kSize = 16;
  static constexpr std::size_t kBlock = 64;
  Md5();
  Md5& add(std::string_view bytes);
  DigestBytes<kSize> finish();

 private:
  MD5_CTX context_;
};

class Sha1 {
 public:
  static constexpr std::size_t kSize = 20;
  static constexpr std::size_t kBlock = 64;
  Sha1();
  Sha1& add(std::string_view bytes);
  DigestBytes<kSize> finish();

 private:
  SHA_CTX context_;
};

class Sha256 {
 public:
  static constexpr std::size_t kSize = 32;
  static constexpr std::size_t kBlock = 64;
  Sha256();
  Sha256& add(std::string_view bytes);
  DigestBytes<kSize> finish();

 private:
  SHA256_CTX context_;
};

inline DigestBytes<16> md5(std::string_view bytes) {
  return Md5().add(bytes).finish();
}
inline DigestBytes<20> sha1(std::string_view bytes) {
  return Sha1().add(bytes).finish();
}
inline DigestBytes<32> sha256(std::string_view bytes) {
  return Sha256().add(bytes).finish();
}

// RFC 2104.
DigestBytes<20> hmac_sha1(std::string_view key, std::string_view message);
DigestBytes<32> hmac_sha256(std::string_view key, std::string_view message);

template <std::size_t N>
std::string_view as_text(const DigestBytes<N>& digest) {
  return {reinterpret_cast<const char*>(digest.data()), N};
}

// CRC-32 (IEEE 802.3, as in gzip); `crc` continues an earlier result.
std::uint32_t crc32(std::string_view bytes, std::uint32_t crc = 0);

// MurmurHash2, 32 bits, seeded with the length: the hash of split_clients. Established: a key falls into the
// same part whichever server asks.
std::uint32_t murmur2(std::string_view bytes);

// From the kernel's generator; never fails once the system has booted.
void random_bytes(void* out, std::size_t size);
std::uint64_t random_number();

// Compares without telling by its duration where two texts differ.
bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace mp
