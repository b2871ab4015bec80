#include "base/clock.hpp"

#include <cstdlib>
#include <ctime>
#include <string>

#include <catch2/catch.hpp>

namespace mp {
namespace {

std::string cookie(std::int64_t t) {
  char out[kHttpDateSize];
  return {out, write_cookie_date(out, t)};
}

TEST_CASE("the cached strings follow the time zone", "[clock]") {
  setenv("TZ", "XYZ-5:30", 1);
  tzset();
  Clock c;
  c.set(1706692087, 42, 99);
  CHECK(c.error_log_time() == "2024/01/31 14:38:07");
  CHECK(c.http_date() == "Wed, 31 Jan 2024 09:08:07 GMT");
  CHECK(c.clf_time() == "31/Jan/2024:14:38:07 +0530");
  CHECK(c.iso8601() == "2024-01-31T14:38:07+05:30");
  CHECK(c.syslog_time() == "Jan 31 14:38:07");
  c.set(1709251200, 0, 100);
  CHECK(c.syslog_time() == "Mar  1 05:30:00");
  CHECK(c.now() == Approx(1709251200.0));
  CHECK(c.monotonic_ms() == 100);
  setenv("TZ", "UTC", 1);
  tzset();
}

TEST_CASE("update reads the real clocks", "[clock]") {
  Clock c;
  const auto before = c.monotonic_ms();
  c.update();
  CHECK(c.monotonic_ms() >= before);
  CHECK(c.seconds() > 1700000000);
}

TEST_CASE("http dates are read in three forms", "[clock]") {
  CHECK(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT") == 784111777);
  CHECK(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT") == 784111777);
  CHECK(parse_http_date("Sun Nov  6 08:49:37 1994") == 784111777);
  CHECK(parse_http_date("Wed, 31 Jan 2024 09:08:07 GMT") == 1706692087);
  CHECK(parse_http_date("Thu, 29 Feb 2024 00:00:00 GMT") == 1709164800);
  CHECK_FALSE(parse_http_date("Thu, 29 Feb 2023 00:00:00 GMT"));
  CHECK_FALSE(parse_http_date("Thu, 31 Dec 1969 00:00:00 GMT"));
  CHECK_FALSE(parse_http_date("Sun, 06 Nov 1994 24:49:37 GMT"));
  CHECK_FALSE(parse_http_date("Sun, 06 Nov 1994"));
  CHECK_FALSE(parse_http_date(""));
  CHECK_FALSE(parse_http_date("x"));
}

TEST_CASE("dates are those of gmtime(), around every new year and leap day", "[clock]") {
  auto check = [](std::time_t t) {
    std::tm tm{};
    gmtime_r(&t, &tm);
    char expected[64];
    strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    char out[kHttpDateSize];
    write_http_date(out, t);
    CHECK(std::string(out, kHttpDateSize) == expected);
  };
  for (std::time_t day = 0; day * 86400 <= 253402300799; day += day < 200 * 365 ? 1 : 53) {
    check(day * 86400 + day * 37 % 86400);
  }
  check(86399);
  check(951868799);  // 2000-02-29 23:59:59
  check(253402300799);
  for (int twice = 0; twice < 2; ++twice) {
    for (std::time_t t : {0, 16, 32, 0, 16, 1}) check(t);  // written again, after others
  }
}

TEST_CASE("cookie dates have two year digits until 2037", "[clock]") {
  CHECK(cookie(1706692087) == "Wed, 31-Jan-24 09:08:07 GMT");
  CHECK(cookie(2147483648) == "Tue, 19-Jan-2038 03:14:08 GMT");
}

}  // namespace
}  // namespace mp
