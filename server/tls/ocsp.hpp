// OCSP as bytes: requests about a certificate, and what a response says of it. No network.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "tls/handles.hpp"

namespace mp::tls {

// Where the status of `certificate` can be asked: the first URL in it; empty when there is none.
std::string ocsp_responder(X509* certificate);

// The encoded request. Errors name the call that failed.
Result<std::string> ocsp_request(X509* certificate, X509* issuer);

enum class OcspStatus : std::uint8_t { good, revoked, unknown };

struct OcspAnswer {
  OcspStatus status = OcspStatus::unknown;
  std::string status_text;       // "good", "revoked", "unknown"
  std::int64_t next_update = 0;  // Unix time; 0: not told
};

// What the encoded `response` says about `certificate`, after its signature was verified: by the issuer, or,
// with a `store`, by a responder that chains to it. `untrusted` (may be null) helps to build that chain.
struct OcspTrust {
  X509_STORE* store = nullptr;
  STACK_OF(X509) * untrusted = nullptr;
  bool verify = true;
};
Result<OcspAnswer> read_ocsp_response(std::string_view response, X509* certificate, X509* issuer,
                                      const OcspTrust& trust);

// The certificates of a chain in DER, one after the other.
struct DerChain {
  X509Ptr leaf, issuer;
};
// Errors: "d2i_X509_bio() failed", "no issuer certificate in chain".
Result<DerChain> read_der_chain(std::string_view der);

}  // namespace mp::tls
