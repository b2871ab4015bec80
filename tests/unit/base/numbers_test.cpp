#include "base/numbers.hpp"

#include <string>

#include <catch2/catch.hpp>

using namespace mp;

TEST_CASE("numbers: bounded decimal", "[base][numbers]") {
  CHECK(parse_unsigned("0") == 0);
  CHECK(parse_unsigned("18446744073709551615") == std::numeric_limits<std::uint64_t>::max());
  CHECK(parse_unsigned<std::uint16_t>("65535") == 65535);
  CHECK(parse_unsigned<std::uint8_t>("255") == 255);
  for (std::string_view bad :
       {"", "-1", "+1", " 1", "1 ", "1a", "18446744073709551616", "99999999999999999999999"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_unsigned(bad));
  }
  CHECK_FALSE(parse_unsigned<std::uint8_t>("256"));
  CHECK_FALSE(parse_unsigned<std::uint16_t>("65536"));
  CHECK_FALSE(parse_unsigned<std::uint64_t>("11", 10));
  CHECK(parse_natural<int>("2147483647") == 2147483647);
  CHECK_FALSE(parse_natural<int>("2147483648"));
}

TEST_CASE("numbers: signed decimal", "[base][numbers]") {
  CHECK(parse_signed("-0") == 0);
  CHECK(parse_signed("-12") == -12);
  CHECK(parse_signed("-9223372036854775808") == std::numeric_limits<std::int64_t>::min());
  CHECK(parse_signed<std::int8_t>("-128") == -128);
  CHECK_FALSE(parse_signed<std::int8_t>("-129"));
  CHECK_FALSE(parse_signed("-9223372036854775809"));
  CHECK_FALSE(parse_signed("-"));
  CHECK_FALSE(parse_signed("--1"));
}

TEST_CASE("numbers: hexadecimal", "[base][numbers]") {
  CHECK(parse_hex("fF") == 255);
  CHECK(parse_hex("ffffffffffffffff") == std::numeric_limits<std::uint64_t>::max());
  for (std::string_view bad : {"", "0x1", "g", "10000000000000000", "1 "}) CHECK_FALSE(parse_hex(bad));
  CHECK_FALSE(parse_hex("100", 255));
}

TEST_CASE("numbers: fixed point", "[base][numbers]") {
  CHECK(parse_fixed("12.345", 3) == 12345);
  CHECK(parse_fixed("12", 3) == 12000);
  CHECK(parse_fixed("1.5", 3) == 1500);
  CHECK(parse_fixed("0.", 2) == 0);
  for (std::string_view bad : {"", ".", "1.2.3", "1.2345", "-1", "1e3", "9223372036854775807"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_fixed(bad, 3));
  }
}

TEST_CASE("numbers: sizes", "[base][numbers]") {
  CHECK(parse_size("8192") == 8192);
  CHECK(parse_size("8k") == 8192);
  CHECK(parse_size("1M") == 1048576);
  CHECK(parse_offset("2G") == std::int64_t{2} << 30);
  CHECK(parse_offset("2m") == 2097152);
  for (std::string_view bad : {"", "k", "1kk", "1g", "-1", "9223372036854775807k", "1.5m"})
    CHECK_FALSE(parse_size(bad));
}

TEST_CASE("numbers: times", "[base][numbers]") {
  struct Row {
    const char* text;
    std::int64_t seconds;  // -1: refused
    std::int64_t milliseconds;
  };
  const Row rows[] = {
      {"0", 0, 0},
      {"90", 90, 90000},
      {"90s", 90, 90000},
      {"1h30m", 5400, 5400000},
      {"1h 30m", 5400, 5400000},
      {"1d5", 86405, 86405000},
      {"1y", 31536000, -1},
      {"1M", 2592000, -1},
      {"1w2d", 777600, 777600000},
      {"500ms", -1, 500},
      {"1s500ms", -1, 1500},
      {"1m5ms", -1, 60005},
      {"1m1h", -1, -1},
      {"1s1s", -1, -1},
      {"1ms1s", -1, -1},
      {"", -1, -1},
      {"s", -1, -1},
      {"1x", -1, -1},
      {"-1", -1, -1},
      {"1.5", -1, -1},
      {"9223372036854775807", 9223372036854775807, -1},
      {"9223372036854775807m", -1, -1},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK(parse_seconds(row.text).value_or(-1) == row.seconds);
    CHECK(parse_milliseconds(row.text).value_or(-1) == row.milliseconds);
  }
}

TEST_CASE("numbers: printing", "[base][numbers]") {
  char buffer[64];
  const auto text = [&](char* end) { return std::string(buffer, end); };
  CHECK(text(print(buffer, std::numeric_limits<std::int64_t>::min())) == "-9223372036854775808");
  CHECK(text(print(buffer, std::numeric_limits<std::uint64_t>::max())) == "18446744073709551615");
  CHECK(text(print_hex(buffer, 0x1fa0)) == "1fa0");
  CHECK(text(print_padded(buffer, 7, 3)) == "007");
  CHECK(text(print_padded(buffer, 1234, 3)) == "1234");
  CHECK(text(print_fixed(buffer, 12345, 3)) == "12.345");
  CHECK(text(print_fixed(buffer, 5, 3)) == "0.005");
  CHECK(text(print_fixed(buffer, -1005, 3)) == "-1.005");
  CHECK(text(print_fixed(buffer, 7, 0)) == "7");
  CHECK(text(hex_into(buffer, "\x01\xab\xff", 3)) == "01abff");
}
