#include "http/accept_encoding.hpp"

#include <catch2/catch.hpp>

using mp::http::accepts_coding;

TEST_CASE("codings that are accepted", "[http]") {
  for (const char* value : {"gzip", "GZip", "gzip, deflate", "gzip,deflate", "deflate, gzip", "deflate,gzip",
                            "gzip ;q=1", "gzip; q=0.5", "gzip;q=0.001", "gzip;q=1.000", "gzip;Q=1,br",
                            "gzip;q=0.5 , x", "gzip ", "gzip;", "xgzip, gzip", "gzip;q=1."}) {
    INFO(value);
    CHECK(accepts_coding(value, "gzip"));
  }
  CHECK(accepts_coding("gzip;q=0, br", "br"));
}

TEST_CASE("codings that are not", "[http]") {
  for (const char* value : {"",         "*",          "identity",      "gzi",        "xgzip",
                            "x-gzip",   "gzipx",      "gzip;q=0",      "gzip;q=0.0", "gzip;q=0.000, x",
                            "gzip;q=2", "gzip;q=1.5", "gzip;q=0.0001", "gzip;q=",    "gzip;q",
                            "gzip;x",   "gzip;q=a",   "gzip;q=0.x",    "gzip;q=0;x", "gzip\t",
                            "gzip;q =1"}) {
    INFO(value);
    CHECK_FALSE(accepts_coding(value, "gzip"));
  }
}
