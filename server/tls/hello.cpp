#include "tls/hello.hpp"

#include <algorithm>

namespace mp::tls {
namespace {

std::size_t short_at(std::span<const unsigned char> bytes, std::size_t at) {
  return std::size_t{bytes[at]} << 8 | bytes[at + 1];
}

}  // namespace

std::optional<std::string_view> parse_server_name(std::span<const unsigned char> e, int& alert) {
  // list length (2), type (1), name length (2), name
  if (e.size() < 5 || short_at(e, 0) + 2 != e.size() || e[2] != TLSEXT_NAMETYPE_host_name ||
      short_at(e, 3) + 5 != e.size()) {
    alert = SSL_AD_DECODE_ERROR;
    return std::nullopt;
  }
  const std::string_view name{reinterpret_cast<const char*>(e.data()) + 5, e.size() - 5};
  if (name.size() > TLSEXT_MAXLEN_host_name || name.find('\0') != name.npos) {
    alert = SSL_AD_UNRECOGNIZED_NAME;
    return std::nullopt;
  }
  return name;
}

std::optional<std::string_view> server_name(SSL* ssl, int& alert) {
  const unsigned char* bytes = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &size) != 1) return std::string_view();
  return parse_server_name({bytes, size}, alert);
}

std::vector<int> parse_versions(std::span<const unsigned char> e) {
  std::vector<int> versions;
  if (e.empty() || std::size_t{e[0]} + 1 != e.size() || e[0] % 2 != 0) return versions;
  for (std::size_t at = 1; at < e.size(); at += 2) versions.push_back(static_cast<int>(short_at(e, at)));
  return versions;
}

namespace {

enum RecordType : unsigned char {
  change_cipher_spec = 20,
  alert = 21,
  handshake = 22,
  application_data = 23
};

}  // namespace

bool may_be_tls(char first) {
  const auto byte = static_cast<unsigned char>(first);
  constexpr unsigned char kVersion2 = 0x80;  // a hello of that form
  return byte == handshake || (byte & kVersion2) != 0;
}

bool may_be_alert(std::string_view records) {
  constexpr std::size_t kHead = 5;
  constexpr std::size_t kSealedAlert = 2 + 1 + 16;  // with its type and the cipher's tag
  while (records.size() >= kHead) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(records[at]); };
    const std::size_t length = std::size_t{byte(3)} << 8 | byte(4);
    if (byte(0) != change_cipher_spec) {
      return byte(0) == alert || (byte(0) == application_data && length <= kSealedAlert);
    }
    records.remove_prefix(std::min(records.size(), kHead + length));
  }
  return true;
}

}  // namespace mp::tls
