// The low-level functions are deprecated in favour of EVP, which looks its algorithm up by name for every
// message: that costs more than hashing a cache key.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/digest.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <openssl/crypto.h>
#include <sys/random.h>
#include <zlib.h>

namespace mp {
namespace {

template <class Hash>
DigestBytes<Hash::kSize> hmac(std::string_view key, std::string_view message) {
  char block[Hash::kBlock] = {};
  if (key.size() > sizeof block) {
    const auto digest = Hash().add(key).finish();
    std::memcpy(block, digest.data(), digest.size());
  } else if (!key.empty()) {
    std::memcpy(block, key.data(), key.size());
  }
  const std::string_view padded(block, sizeof block);
  for (char& c : block) c = static_cast<char>(c ^ 0x36);
  const auto inner = Hash().add(padded).add(message).finish();
  for (char& c : block) c = static_cast<char>(c ^ 0x36 ^ 0x5c);
  return Hash().add(padded).add(as_text(inner)).finish();
}

}  // namespace

Md5::Md5() {
  MD5_Init(&context_);
}
Md5& Md5::add(std::string_view bytes) {
  MD5_Update(&context_, bytes.data(), bytes.size());
  return *this;
}
DigestBytes<16> Md5::finish() {
  DigestBytes<16> digest;
  MD5_Final(digest.data(), &context_);
  return digest;
}

Sha1::Sha1() {
  SHA1_Init(&context_);
}
Sha1& Sha1::add(std::string_view bytes) {
  SHA1_Update(&context_, bytes.data(), bytes.size());
  return *this;
}
DigestBytes<20> Sha1::finish() {
  DigestBytes<20> digest;
  SHA1_Final(digest.data(), &context_);
  return digest;
}

Sha256::Sha256() {
  SHA256_Init(&context_);
}
Sha256& Sha256::add(std::string_view bytes) {
  SHA256_Update(&context_, bytes.data(), bytes.size());
  return *this;
}
DigestBytes<32> Sha256::finish() {
  DigestBytes<32> digest;
  SHA256_Final(digest.data(), &context_);
  return digest;
}

DigestBytes<20> hmac_sha1(std::string_view key, std::string_view message) {
  return hmac<Sha1>(key, message);
}
DigestBytes<32> hmac_sha256(std::string_view key, std::string_view message) {
  return hmac<Sha256>(key, message);
}

std::uint32_t crc32(std::string_view bytes, std::uint32_t crc) {
  if (bytes.empty()) return crc;
  return static_cast<std::uint32_t>(
      ::crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

std::uint32_t murmur2(std::string_view bytes) {
  constexpr std::uint32_t kMultiplier = 0x5bd1e995;
  const auto* p = reinterpret_cast<const unsigned char*>(bytes.data());
  std::size_t left = bytes.size();
  auto hash = static_cast<std::uint32_t>(left);
  for (; left >= 4; left -= 4, p += 4) {
    std::uint32_t word;
    std::memcpy(&word, p, 4);
    word *= kMultiplier;
    word ^= word >> 24;
    word *= kMultiplier;
    hash = hash * kMultiplier ^ word;
  }
  if (left != 0) {
    for (std::size_t i = 0; i < left; ++i) hash ^= static_cast<std::uint32_t>(p[i]) << (8 * i);
    hash *= kMultiplier;
  }
  hash ^= hash >> 13;
  hash *= kMultiplier;
  return hash ^ hash >> 15;
}

void random_bytes(void* out, std::size_t size) {
  auto* p = static_cast<char*>(out);
  while (size > 0) {
    const ssize_t got = getrandom(p, size, 0);
    if (got > 0) {
      p += got;
      size -= static_cast<std::size_t>(got);
    } else if (errno != EINTR) {
      std::abort();  // a kernel without getrandom(): no secret could be made
    }
  }
}

std::uint64_t random_number() {
  std::uint64_t number;
  random_bytes(&number, sizeof number);
  return number;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace mp
