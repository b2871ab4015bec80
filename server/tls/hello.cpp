#include "tls/hello.hpp"

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

}  // namespace mp::tls
