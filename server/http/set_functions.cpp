#include "http/set_functions.hpp"

#include <algorithm>
#include <ctime>
#include <string>

#include "base/base32.hpp"
#include "base/base64.hpp"
#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/escape.hpp"
#include "base/numbers.hpp"
#include "base/sql.hpp"
#include "base/strings.hpp"
#include "http/request.hpp"

namespace mp::http {
namespace {

using Args = std::span<const std::string_view>;

std::string_view view(const char* begin, const char* end) {
  return {begin, static_cast<std::size_t>(end - begin)};
}

bool invalid(Request& r, std::string_view function) {
  log::error(r.logger, "{}: invalid value", function);
  return false;
}

// ---- quoting and escaping

bool quote_sql(Request& r, Args args, std::string_view& out) {
  char* const text = r.arena.bytes(quoted_sql_room(args[0].size()));
  out = view(text, quote_sql_into(text, args[0]));
  return true;
}

bool quote_pgsql(Request& r, Args args, std::string_view& out) {
  if (args[0].empty()) {
    out = "''";
    return true;
  }
  char* const text = r.arena.bytes(quoted_pgsql_room(args[0].size()));
  out = view(text, quote_pgsql_into(text, args[0]));
  return true;
}

bool quote_json(Request& r, Args args, std::string_view& out) {
  out = args[0].empty() ? "null" : r.arena.concat("\"", escape_json(r.arena, args[0]), "\"");
  return true;
}

bool escape(Request& r, Args args, std::string_view& out) {
  out = escape_uri(r.arena, args[0], UriEscape::lua_component);
  return true;
}

// As the server does: a '%' without two digits is dropped. A '+' is a blank.
bool unescape(Request& r, Args args, std::string_view& out) {
  char* const text = r.arena.bytes(args[0].size());
  std::replace_copy(args[0].begin(), args[0].end(), text, '+', ' ');
  out = view(text, unescape_uri_into(text, {text, args[0].size()}, Unescape::all).end);
  return true;
}

// ---- other alphabets

bool encode_base32(Request& r, Args args, std::string_view& out) {
  const auto& c = r.conf<Base32Conf>();
  char* const text = r.arena.bytes(base32_room(args[0].size()));
  out = view(text, base32_into(text, args[0], c.alphabet, c.padding));
  return true;
}

bool decode_base32(Request& r, Args args, std::string_view& out) {
  char* const text = r.arena.bytes(base32_decoded_room(args[0].size()));
  const auto end = decode_base32_into(text, args[0], r.conf<Base32Conf>().alphabet);
  out = end ? view(text, *end) : std::string_view();  // what is none is empty
  return true;
}

bool encode_base64(Request& r, Args args, std::string_view& out) {
  out = base64(r.arena, args[0]);
  return true;
}

bool decode_base64(Request& r, Args args, std::string_view& out) {
  const auto bytes = mp::decode_base64(r.arena, args[0]);
  if (!bytes) return invalid(r, "set_decode_base64");
  out = *bytes;
  return true;
}

bool encode_base64url(Request& r, Args args, std::string_view& out) {
  char* const text = r.arena.bytes(base64_size(args[0].size(), Padding::off));
  out = view(text, base64url_into(text, args[0]));
  return true;
}

bool decode_base64url(Request& r, Args args, std::string_view& out) {
  char* const text = r.arena.bytes(base64_decoded_room(args[0].size()));
  const auto end = decode_base64url_into(text, args[0]);
  if (!end) return invalid(r, "set_decode_base64url");
  out = view(text, *end);
  return true;
}

bool encode_hex(Request& r, Args args, std::string_view& out) {
  char* const text = r.arena.bytes(2 * args[0].size());
  out = view(text, hex_into(text, args[0].data(), args[0].size()));
  return true;
}

bool decode_hex(Request& r, Args args, std::string_view& out) {
  const std::string_view text = args[0];
  if (text.size() % 2 != 0) return invalid(r, "set_decode_hex");
  char* const bytes = r.arena.bytes(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]);
    const int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return invalid(r, "set_decode_hex");
    bytes[i / 2] = static_cast<char>(high << 4 | low);
  }
  out = {bytes, text.size() / 2};
  return true;
}

// ---- digests

template <std::size_t N>
std::string_view hex(Request& r, const DigestBytes<N>& digest) {
  char* const text = r.arena.bytes(2 * N);
  return view(text, hex_into(text, digest.data(), N));
}

bool set_md5(Request& r, Args args, std::string_view& out) {
  out = hex(r, md5(args[0]));
  return true;
}

bool set_sha1(Request& r, Args args, std::string_view& out) {
  out = hex(r, sha1(args[0]));
  return true;
}

bool set_hmac_sha1(Request& r, Args args, std::string_view& out) {
  out = r.arena.copy(as_text(hmac_sha1(args[0], args[1])));
  return true;
}

bool set_hmac_sha256(Request& r, Args args, std::string_view& out) {
  out = r.arena.copy(as_text(hmac_sha256(args[0], args[1])));
  return true;
}

// ---- random values

bool set_random(Request& r, Args args, std::string_view& out) {
  constexpr const char* kNames[] = {"from", "to"};
  std::uint32_t limits[2];
  for (int i = 0; i < 2; ++i) {
    const auto limit = parse_unsigned<std::uint32_t>(args[i]);
    if (!limit) {
      log::error(r.logger, "set_random: bad \"{}\" argument: {}", kNames[i], args[i]);
      return false;
    }
    limits[i] = *limit;
  }
  const auto [low, high] = std::minmax(limits[0], limits[1]);
  const std::uint64_t value = low + random_number() % (std::uint64_t{high} - low + 1);
  char text[kMaxDecimal];
  out = r.arena.copy(view(text, print(text, value)));
  return true;
}

bool secure_random(Request& r, Args args, std::string_view letters, std::string_view& out) {
  constexpr std::size_t kMostLetters = 64;
  const auto length = parse_unsigned<std::size_t>(args[0], kMostLetters);
  if (!length || *length == 0) {
    log::error(r.logger, "set_random: bad \"length\" argument: {}", args[0]);
    return false;
  }
  char* const text = r.arena.bytes(*length);
  std::size_t made = 0;
  const unsigned fair =
      256 - 256 % static_cast<unsigned>(letters.size());  // above it some would come up more
  while (made < *length) {
    unsigned char bytes[kMostLetters];
    random_bytes(bytes, sizeof bytes);
    for (const unsigned char byte : bytes) {
      if (byte < fair && made < *length) text[made++] = letters[byte % letters.size()];
    }
  }
  out = {text, *length};
  return true;
}

bool random_alphanum(Request& r, Args args, std::string_view& out) {
  return secure_random(r, args, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", out);
}

bool random_lcalpha(Request& r, Args args, std::string_view& out) {
  return secure_random(r, args, "abcdefghijklmnopqrstuvwxyz", out);
}

// ---- time

using Calendar = std::tm* (*)(const std::time_t*, std::tm*);

std::string_view format_now(Request& r, std::string_view format, Calendar calendar) {
  const std::time_t now = clock().seconds();
  std::tm parts{};
  calendar(&now, &parts);
  char text[256];
  return r.arena.copy({text, std::strftime(text, sizeof text, c_string(r.arena, format), &parts)});
}

bool local_today(Request& r, Args, std::string_view& out) {
  out = format_now(r, "%Y-%m-%d", ::localtime_r);
  return true;
}

bool formatted_gmt_time(Request& r, Args args, std::string_view& out) {
  out = format_now(r, args[0], ::gmtime_r);
  return true;
}

bool formatted_local_time(Request& r, Args args, std::string_view& out) {
  out = format_now(r, args[0], ::localtime_r);
  return true;
}

bool if_empty(Request&, Args args, std::string_view& out) {
  out = args[0].empty() ? args[1] : args[0];
  return true;
}

constexpr SetFunction kFunctions[] = {
    {"set_if_empty", 2, if_empty},
    {"set_quote_sql_str", 1, quote_sql},
    {"set_quote_pgsql_str", 1, quote_pgsql},
    {"set_quote_json_str", 1, quote_json},
    {"set_escape_uri", 1, escape},
    {"set_unescape_uri", 1, unescape},
    {"set_encode_base32", 1, encode_base32},
    {"set_decode_base32", 1, decode_base32},
    {"set_encode_base64", 1, encode_base64},
    {"set_decode_base64", 1, decode_base64},
    {"set_encode_base64url", 1, encode_base64url},
    {"set_decode_base64url", 1, decode_base64url},
    {"set_encode_hex", 1, encode_hex},
    {"set_decode_hex", 1, decode_hex},
    {"set_md5", 1, set_md5},
    {"set_sha1", 1, set_sha1},
    {"set_hmac_sha1", 2, set_hmac_sha1},
    {"set_hmac_sha256", 2, set_hmac_sha256},
    {"set_random", 2, set_random},
    {"set_secure_random_alphanum", 1, random_alphanum},
    {"set_secure_random_lcalpha", 1, random_lcalpha},
    {"set_local_today", 0, local_today},
    {"set_formatted_gmt_time", 1, formatted_gmt_time},
    {"set_formatted_local_time", 1, formatted_local_time},
};

}  // namespace

std::span<const SetFunction> set_functions() {
  return kFunctions;
}

const SetFunction* find_set_function(std::string_view name) {
  const auto* found = std::find_if(std::begin(kFunctions), std::end(kFunctions),
                                   [name](const SetFunction& f) { return f.name == name; });
  return found != std::end(kFunctions) ? found : nullptr;
}

Status Base32Conf::merge(conf::Context&, const Base32Conf& parent) {
  padding.inherit(parent.padding, true);
  alphabet.inherit(parent.alphabet, "0123456789abcdefghijklmnopqrstuv");
  return {};
}

}  // namespace mp::http
