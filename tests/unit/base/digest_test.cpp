#include "base/digest.hpp"

#include <string>

#include <catch2/catch.hpp>

#include "base/numbers.hpp"

using namespace mp;

namespace {

template <std::size_t N>
std::string hex(const DigestBytes<N>& digest) {
  std::string text(2 * N, '\0');
  hex_into(text.data(), digest.data(), N);
  return text;
}

}  // namespace

TEST_CASE("digest: known messages", "[base][digest]") {
  CHECK(hex(md5("")) == "d41d8cd98f00b204e9800998ecf8427e");
  CHECK(hex(md5("abc")) == "900150983cd24fb0d6963f7d28e17f72");
  CHECK(hex(sha1("abc")) == "a9993e364706816aba3e25717850c26c9cd0d89d");
  CHECK(hex(sha256("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hex(Md5().add("a").add("").add("bc").finish()) == hex(md5("abc")));
  CHECK(hex(Sha1().add("ab").add("c").finish()) == hex(sha1("abc")));
  CHECK(hex(Sha256().add("ab").add("c").finish()) == hex(sha256("abc")));
}

TEST_CASE("digest: HMAC, RFC 2202 and RFC 4231", "[base][digest]") {
  CHECK(hex(hmac_sha1(std::string(20, '\x0b'), "Hi There")) == "b617318655057264e28bc0b6fb378c8ef146be00");
  CHECK(hex(hmac_sha1("Jefe", "what do ya want for nothing?")) == "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
  CHECK(hex(hmac_sha1(std::string(80, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First")) ==
        "aa4ae5e15272d00e95705637ce8a3b55ed402112");
  CHECK(hex(hmac_sha1("", "")) == "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d");
  CHECK(hex(hmac_sha256("Jefe", "what do ya want for nothing?")) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST_CASE("digest: checksums", "[base][digest]") {
  CHECK(crc32("") == 0);
  CHECK(crc32("123456789") == 0xcbf43926);
  CHECK(crc32("6789", crc32("12345")) == 0xcbf43926);
  CHECK(murmur2("") == 0);
  CHECK(murmur2("a") == 0x92685f5e);
  CHECK(murmur2("abcdefg") == 0xf9a1cef3);
  CHECK(murmur2("127.0.0.1") == 0xb6131d91);
}

TEST_CASE("digest: random bytes and comparison", "[base][digest]") {
  CHECK(random_number() != random_number());
  CHECK(equal_in_constant_time("abc", "abc"));
  CHECK(equal_in_constant_time("", ""));
  CHECK_FALSE(equal_in_constant_time("abc", "abd"));
  CHECK_FALSE(equal_in_constant_time("abc", "ab"));
}
