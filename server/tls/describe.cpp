#include "tls/describe.hpp"

#include <ctime>
#include <vector>

#include <fmt/core.h>
#include <openssl/asn1.h>
#include <openssl/objects.h>
#include <openssl/pem.h>

#include "base/numbers.hpp"

namespace mp::tls {
namespace {

std::string hex(const unsigned char* bytes, std::size_t size) {
  std::string out(size * 2, '\0');
  hex_into(out.data(), bytes, size);
  return out;
}

template <class Print>
std::string printed(Print print) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || print(bio.get()) < 0) return {};
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

std::string name(const X509_NAME* n) {
  return printed([n](BIO* bio) { return X509_NAME_print_ex(bio, n, 0, XN_FLAG_RFC2253); });
}

std::string name_legacy(const X509_NAME* n) {
  const TextPtr text(X509_NAME_oneline(n, nullptr, 0));
  return text != nullptr ? std::string(text.get()) : std::string();
}

std::string group_name(SSL* ssl, int nid) {
  if ((nid & TLSEXT_nid_unknown) == 0) return OBJ_nid2sn(nid);
  if (const char* known = SSL_group_to_name(ssl, nid)) return known;
  return fmt::format("0x{:04x}", nid & 0xffff);
}

}  // namespace

std::string ciphers_of_client(SSL* ssl) {
  const auto width = static_cast<std::size_t>(SSL_get0_raw_cipherlist(ssl, nullptr));
  unsigned char* list = nullptr;
  const auto size = static_cast<std::size_t>(SSL_get0_raw_cipherlist(ssl, &list));
  std::string out;
  for (std::size_t at = 0; list != nullptr && at + width <= size; at += width) {
    if (!out.empty()) out += ':';
    const SSL_CIPHER* cipher = SSL_CIPHER_find(ssl, list + at);
    out += cipher != nullptr ? std::string(SSL_CIPHER_get_name(cipher)) : "0x" + hex(list + at, width);
  }
  return out;
}

std::string curve(SSL* ssl) {
  const long nid = SSL_get_negotiated_group(ssl);
  return nid != NID_undef ? group_name(ssl, static_cast<int>(nid)) : std::string();
}

std::string curves_of_client(SSL* ssl) {
  const long count = SSL_get1_curves(ssl, nullptr);
  if (count <= 0) return {};
  std::vector<int> nids(static_cast<std::size_t>(count));
  SSL_get1_curves(ssl, nids.data());
  std::string out;
  for (const int nid : nids) {
    if (!out.empty()) out += ':';
    out += group_name(ssl, nid);
  }
  return out;
}

std::string signature_algorithms_of_client(SSL* ssl) {
  const int count = SSL_get_sigalgs(ssl, -1, nullptr, nullptr, nullptr, nullptr, nullptr);
  std::string out;
  for (int i = 0; i < count; ++i) {
    unsigned char signature = 0;
    unsigned char hash = 0;
    SSL_get_sigalgs(ssl, i, nullptr, nullptr, nullptr, &signature, &hash);
    if (!out.empty()) out += ':';
    out += fmt::format("0x{:04x}", hash << 8 | signature);
  }
  return out;
}

std::string session_id(SSL* ssl) {
  const SSL_SESSION* session = SSL_get0_session(ssl);
  if (session == nullptr) return {};
  unsigned size = 0;
  const unsigned char* id = SSL_SESSION_get_id(session, &size);
  return hex(id, size);
}

std::string pem(X509* c) {
  return printed([c](BIO* bio) { return PEM_write_bio_X509(bio, c); });
}
std::string subject(X509* c) {
  return name(X509_get_subject_name(c));
}
std::string issuer(X509* c) {
  return name(X509_get_issuer_name(c));
}
std::string subject_legacy(X509* c) {
  return name_legacy(X509_get_subject_name(c));
}
std::string issuer_legacy(X509* c) {
  return name_legacy(X509_get_issuer_name(c));
}
std::string serial(X509* c) {
  return printed([c](BIO* bio) { return i2a_ASN1_INTEGER(bio, X509_get0_serialNumber(c)); });
}
std::string fingerprint(X509* c) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  return X509_digest(c, EVP_sha1(), digest, &size) == 1 ? hex(digest, size) : std::string();
}
std::string not_before(X509* c) {
  return printed([c](BIO* bio) { return ASN1_TIME_print(bio, X509_get0_notBefore(c)); });
}
std::string not_after(X509* c) {
  return printed([c](BIO* bio) { return ASN1_TIME_print(bio, X509_get0_notAfter(c)); });
}

std::optional<std::int64_t> time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  return static_cast<std::int64_t>(timegm(&parts));
}

}  // namespace mp::tls
