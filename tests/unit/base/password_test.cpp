#include "base/password.hpp"

#include <string>

#include <catch2/catch.hpp>

using namespace mp;

TEST_CASE("password: the forms of an htpasswd file", "[base][password]") {
  struct Row {
    std::string stored, password;
  };
  const Row rows[] = {
      {"$apr1$abcdefgh$u.8d65p6I/HkM6RzSsXyO1", "secret password"},
      {"$apr1$ab$S8K6Sgp3W8c9Jb6LxgywZ.", ""},
      {"$apr1$xyz$TTPtotJhv4gxrCLttO8fn1", "0123456789012345678901234567890123456789"},
      {"{PLAIN}secret", "secret"},
      {"{PLAIN}", ""},
      {"{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "secret"},
      {"{SSHA}8bX4JQDfZqtTfvnQ4ssDmWb17/FTQUxU", "secret"},
      {"$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1",
       "secret"},
      {"$1$saltsalt$9xy1btjgzLYfb7hivXtC//", "secret"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.stored);
    CHECK(check_password(row.stored, row.password).value());
    CHECK_FALSE(check_password(row.stored, row.password + "x").value());
    CHECK_FALSE(check_password(row.stored, "Secret").value());
  }
}

TEST_CASE("password: unusable stored forms", "[base][password]") {
  CHECK_FALSE(check_password("{SSHA}5en6G6M", "secret").value());
  CHECK_FALSE(check_password("{SSHA}", "").value());
  CHECK_FALSE(check_password("{SHA}", "secret").value());
  CHECK_FALSE(check_password("$apr1$", "secret").value());
  CHECK_FALSE(check_password("$9$unknown", "secret").value());
  CHECK_FALSE(check_password("", "secret").value());
  CHECK_FALSE(check_password("*", "secret").value());
}
