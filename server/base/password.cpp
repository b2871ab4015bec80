#include "base/password.hpp"

#include <cerrno>
#include <memory>
#include <string>

#include <crypt.h>

#include "base/base64.hpp"
#include "base/digest.hpp"
#include "base/strings.hpp"

namespace mp {
namespace {

constexpr std::string_view kApr1 = "$apr1$";

// The digits of crypt(3), lowest first.
void put64(std::string& out, std::uint32_t value, int digits) {
  static constexpr char kDigits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  for (; digits > 0; --digits, value >>= 6) out += kDigits[value & 63];
}

// Poul-Henning Kamp's MD5 crypt under Apache's name. `salt` has at most eight characters.
std::string apr1(std::string_view password, std::string_view salt) {
  auto digest = Md5().add(password).add(salt).add(password).finish();
  Md5 first;
  first.add(password).add(kApr1).add(salt);
  for (std::size_t left = password.size(); left > 0; left -= left > 16 ? 16 : left) {
    first.add(as_text(digest).substr(0, left));
  }
  for (std::size_t bits = password.size(); bits > 0; bits >>= 1) {
    first.add((bits & 1) != 0 ? std::string_view("\0", 1) : password.substr(0, 1));
  }
  digest = first.finish();

  for (int round = 0; round < 1000; ++round) {
    Md5 next;
    const bool odd = (round & 1) != 0;
    next.add(odd ? password : as_text(digest));
    if (round % 3 != 0) next.add(salt);
    if (round % 7 != 0) next.add(password);
    next.add(odd ? as_text(digest) : password);
    digest = next.finish();
  }

  std::string out(kApr1);
  out.append(salt).append("$");
  const auto three = [&](int a, int b, int c) {
    put64(
        out,
        static_cast<std::uint32_t>(digest[a]) << 16 | static_cast<std::uint32_t>(digest[b]) << 8 | digest[c],
        4);
  };
  three(0, 6, 12);
  three(1, 7, 13);
  three(2, 8, 14);
  three(3, 9, 15);
  three(4, 10, 5);
  put64(out, digest[11], 2);
  return out;
}

// base64(SHA1(password salt) salt); the salt is what follows the twenty bytes of the digest.
bool check_salted_sha1(std::string_view encoded, std::string_view password) {
  std::string stored(base64_decoded_room(encoded.size()), '\0');
  const auto end = decode_base64_into(stored.data(), encoded);
  if (!end) return false;
  stored.resize(static_cast<std::size_t>(*end - stored.data()));
  if (stored.size() < Sha1::kSize) return false;
  const std::string_view salt = std::string_view(stored).substr(Sha1::kSize);
  const auto digest = Sha1().add(password).add(salt).finish();
  return equal_in_constant_time(as_text(digest), std::string_view(stored).substr(0, Sha1::kSize));
}

Result<bool> check_with_libc(std::string_view stored, std::string_view given) {
  const auto work = std::make_unique<crypt_data>();  // 32 KB: too much for the stack of a fiber
  const std::string setting(stored);
  const char* made = crypt_r(std::string(given).c_str(), setting.c_str(), work.get());
  if (made != nullptr && made[0] == '*') return false;  // no form that libc knows
  if (made == nullptr) return fail(system_error(errno, "crypt_r() failed"));
  return equal_in_constant_time(made, stored);
}

}  // namespace

Result<bool> check_password(std::string_view stored, std::string_view given) {
  given = given.substr(0, given.find('\0'));
  std::string_view rest = stored;
  if (consume(rest, "{PLAIN}")) return equal_in_constant_time(rest, given);
  if (consume(rest, "{SHA}")) {
    char encoded[base64_size(Sha1::kSize)];
    const char* end = base64_into(encoded, as_text(sha1(given)));
    return equal_in_constant_time({encoded, static_cast<std::size_t>(end - encoded)}, rest);
  }
  if (consume(rest, "{SSHA}")) return check_salted_sha1(rest, given);
  if (consume(rest, kApr1)) {
    return equal_in_constant_time(apr1(given, rest.substr(0, rest.find('$')).substr(0, 8)), stored);
  }
  return check_with_libc(stored, given);
}

}  // namespace mp
