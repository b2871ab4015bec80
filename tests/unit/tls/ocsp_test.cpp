#include "tls/ocsp.hpp"

#include <catch2/catch.hpp>

#include "pair.hpp"
#include "tls/ocsp_client.hpp"

using namespace mp;
using namespace mp::tls;

TEST_CASE("tls: responders are http URLs", "[tls]") {
  const auto plain = OcspResponder::parse("http://127.0.0.1:8081/a/b", false);
  REQUIRE(plain);
  CHECK(plain->host == "127.0.0.1");
  CHECK(plain->port == 8081);
  CHECK(plain->uri == "/a/b");
  CHECK(plain->addresses.size() == 1);
  CHECK(OcspResponder::parse("HTTP://ocsp.test", false)->uri == "/");
  CHECK(OcspResponder::parse("https://ocsp.test/", false).error().text == "invalid URL prefix");
  CHECK(OcspResponder::parse("http://", false).error().text == "invalid URL prefix");
}

TEST_CASE("tls: answers of responders", "[tls]") {
  std::string_view body;
  auto parse = [&](std::string_view text, bool complete) { return parse_ocsp_http(text, complete, body); };
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Type: application/ocsp-response\r\n";
  CHECK(parse(head, false) == OcspHttp::need_more);
  CHECK(parse(head + "\r\nabc", false) == OcspHttp::need_more);
  const std::string whole = head + "\r\nabc";
  CHECK(parse(whole, true) == OcspHttp::done);
  CHECK(body == "abc");
  const std::string counted = head + "Content-Length: 2\r\n\r\nabc";
  CHECK(parse(counted, false) == OcspHttp::done);
  CHECK(body == "ab");
  CHECK(parse(head + "Content-Length: 9\r\n\r\nabc", true) == OcspHttp::need_more);
  CHECK(parse(head + "Content-Length: x\r\n\r\nabc", true) == OcspHttp::invalid);
  CHECK(parse("HTTP/1.1 404 Not Found\r\n\r\n", true) == OcspHttp::invalid);
  CHECK(parse("HTTP/1.0 200 OK\nContent-Type: text/html\n\nabc", true) == OcspHttp::wrong_type);
}

TEST_CASE("tls: what is no response of OCSP is told", "[tls]") {
  const KeyPtr key = tls::test::new_key();
  const X509Ptr certificate = tls::test::self_signed(key.get(), "issuer");
  CHECK(ocsp_responder(certificate.get()).empty());
  REQUIRE(ocsp_request(certificate.get(), certificate.get()));
  CHECK(read_ocsp_response("nonsense", certificate.get(), certificate.get(), {}).error().text ==
        "d2i_OCSP_RESPONSE() failed");
  CHECK(read_ocsp_response("\x30\x03\x0a\x01\x06", certificate.get(), certificate.get(), {}).error().text ==
        "OCSP response not successful (6: unauthorized)");
  CHECK(read_der_chain("x").error().text == "d2i_X509_bio() failed");
}
