#include "tls/ocsp.hpp"

#include <memory>

#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include "tls/describe.hpp"

namespace mp::tls {
namespace {

using RequestPtr = std::unique_ptr<OCSP_REQUEST, Freed<OCSP_REQUEST_free>>;
using ResponsePtr = std::unique_ptr<OCSP_RESPONSE, Freed<OCSP_RESPONSE_free>>;
using BasicPtr = std::unique_ptr<OCSP_BASICRESP, Freed<OCSP_BASICRESP_free>>;
using IdPtr = std::unique_ptr<OCSP_CERTID, Freed<OCSP_CERTID_free>>;

constexpr long kClockSkew = 300;  // seconds

tl::unexpected<Error> refuse(std::string text) {
  ERR_clear_error();
  return fail(std::move(text));
}

bool signature_good(OCSP_BASICRESP* basic, X509* issuer, const OcspTrust& trust) {
  CertsPtr chain(sk_X509_new_null());
  sk_X509_push(chain.get(), share(issuer).release());
  for (int i = 0; trust.untrusted != nullptr && i < sk_X509_num(trust.untrusted); ++i) {
    sk_X509_push(chain.get(), share(sk_X509_value(trust.untrusted, i)).release());
  }
  // Without a store the issuer's own signature is what counts.
  const unsigned long flags = trust.store == nullptr ? OCSP_NOVERIFY
                              : trust.verify         ? OCSP_TRUSTOTHER
                                                     : OCSP_NOVERIFY;
  return OCSP_basic_verify(basic, chain.get(), trust.store, flags) == 1;
}

}  // namespace

std::string ocsp_responder(X509* certificate) {
  STACK_OF(OPENSSL_STRING)* urls = X509_get1_ocsp(certificate);
  if (urls == nullptr) return {};
  const char* first = sk_OPENSSL_STRING_value(urls, 0);
  std::string out = first != nullptr ? first : "";
  X509_email_free(urls);
  return out;
}

Result<std::string> ocsp_request(X509* certificate, X509* issuer) {
  const RequestPtr request(OCSP_REQUEST_new());
  if (request == nullptr) return refuse("OCSP_REQUEST_new() failed");
  OCSP_CERTID* id = OCSP_cert_to_id(nullptr, certificate, issuer);
  if (id == nullptr) return refuse("OCSP_cert_to_id() failed");
  if (OCSP_request_add0_id(request.get(), id) == nullptr) {
    OCSP_CERTID_free(id);
    return refuse("OCSP_request_add0_id() failed");
  }
  unsigned char* bytes = nullptr;
  const int size = i2d_OCSP_REQUEST(request.get(), &bytes);
  if (size <= 0) return refuse("i2d_OCSP_REQUEST() failed");
  std::string out(reinterpret_cast<char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  return out;
}

Result<OcspAnswer> read_ocsp_response(std::string_view response, X509* certificate, X509* issuer,
                                      const OcspTrust& trust) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(response.data());
  const ResponsePtr whole(d2i_OCSP_RESPONSE(nullptr, &bytes, static_cast<long>(response.size())));
  if (whole == nullptr) return refuse("d2i_OCSP_RESPONSE() failed");
  if (const int code = OCSP_response_status(whole.get()); code != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
    return refuse(fmt::format("OCSP response not successful ({}: {})", code, OCSP_response_status_str(code)));
  }
  const BasicPtr basic(OCSP_response_get1_basic(whole.get()));
  if (basic == nullptr) return refuse("OCSP_response_get1_basic() failed");
  if (!signature_good(basic.get(), issuer, trust)) return refuse("OCSP_basic_verify() failed");
  const IdPtr id(OCSP_cert_to_id(nullptr, certificate, issuer));
  if (id == nullptr) return refuse("OCSP_cert_to_id() failed");
  int status = 0;
  ASN1_GENERALIZEDTIME* this_update = nullptr;
  ASN1_GENERALIZEDTIME* next_update = nullptr;
  if (OCSP_resp_find_status(basic.get(), id.get(), &status, nullptr, nullptr, &this_update, &next_update) !=
      1) {
    return refuse("certificate status not found in the OCSP response");
  }
  OcspAnswer answer;
  answer.status_text = OCSP_cert_status_str(status);
  answer.status = status == V_OCSP_CERTSTATUS_GOOD      ? OcspStatus::good
                  : status == V_OCSP_CERTSTATUS_REVOKED ? OcspStatus::revoked
                                                        : OcspStatus::unknown;
  if (OCSP_check_validity(this_update, next_update, kClockSkew, -1) != 1) {
    return refuse("OCSP_check_validity() failed");
  }
  if (next_update != nullptr) {
    const auto when = time_of(next_update);
    if (!when) return refuse("invalid nextUpdate time in certificate status");
    answer.next_update = *when;
  }
  return answer;
}

Result<DerChain> read_der_chain(std::string_view der) {
  const BioPtr bio(BIO_new_mem_buf(der.data(), static_cast<int>(der.size())));
  if (bio == nullptr) return refuse("BIO_new_mem_buf() failed");
  DerChain chain;
  chain.leaf.reset(d2i_X509_bio(bio.get(), nullptr));
  if (chain.leaf == nullptr) return refuse("d2i_X509_bio() failed");
  if (BIO_eof(bio.get())) return refuse("no issuer certificate in chain");
  chain.issuer.reset(d2i_X509_bio(bio.get(), nullptr));
  if (chain.issuer == nullptr) return refuse("d2i_X509_bio() failed");
  return chain;
}

}  // namespace mp::tls
