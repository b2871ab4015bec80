#include "proto/h1/chunked.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace mp;
using namespace mp::proto;
using Event = ChunkedDecoder::Event;

namespace {

// The payload and how decoding ended, feeding `pieces` one after the other.
std::string decode(const std::vector<std::string>& pieces, const ChunkedOptions& options = {}) {
  ChunkedDecoder decoder(options);
  std::string payload;
  Event event = Event::need_more;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const std::string piece = pieces[i];
    std::string_view rest = piece;
    while ((event = decoder.next(rest)) == Event::data) {
      payload += decoder.data();
      rest.remove_prefix(decoder.consumed());
    }
    if (event == Event::done) {
      std::string left(rest.substr(decoder.consumed()));
      for (++i; i < pieces.size(); ++i) left += pieces[i];
      return payload + "|done|" + left;
    }
    if (event == Event::error) return payload + "|error";
    REQUIRE(decoder.consumed() == rest.size());
    REQUIRE(decoder.at_least() > 0);
  }
  return payload + "|more";
}

struct Row {
  std::string text;
  std::string result;
};

const std::string kNul(1, '\0');

const std::vector<Row> kRows = {
    {"0\r\n\r\n", "|done|"},
    {"5\r\nhello\r\n0\r\n\r\n", "hello|done|"},
    {"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET", "hello world|done|GET"},
    {"A\r\n0123456789\r\n0\r\n\r\n", "0123456789|done|"},
    {"00005\r\nhello\r\n000\r\n\r\n", "hello|done|"},
    {"5;a=b;c=\"d e\"\r\nhello\r\n0;x\r\n\r\n", "hello|done|"},
    {"5 \r\nhello\r\n0\t \r\n\r\n", "hello|done|"},
    {"5 ;a\r\nhello\r\n0\r\n\r\n", "hello|done|"},
    {"2\r\n\r\n\r\n0\r\n\r\n", "\r\n|done|"},
    {"0\r\nA: b\r\nC:\r\n\r\nrest", "|done|rest"},
    {"5\r\nhel", "hel|more"},
    {"", "|more"},
    {"7fffffffffffffff\r\nx", "x|more"},
    // refused
    {"\r\n", "|error"},
    {" 5\r\n", "|error"},
    {"g\r\n", "|error"},
    {"-5\r\n", "|error"},
    {"+5\r\n", "|error"},
    {"0x5\r\n", "|error"},
    {"5_0\r\n", "|error"},
    {"\n5\r\n", "|error"},
    {"5\nhello", "|error"},
    {"5\r\r\nhello", "|error"},
    {"5\rhello", "|error"},
    {"5;a\nhello", "|error"},
    {"5;a\x01\r\n", "|error"},
    {"5;a" + kNul + "\r\n", "|error"},
    {"5 x\r\nhello", "|error"},
    {"5\r\nhello\n0\r\n\r\n", "hello|error"},
    {"5\r\nhello0\r\n\r\n", "hello|error"},
    {"5\r\nhello\r0\r\n\r\n", "hello|error"},
    {"5\r\nhelloXX0\r\n\r\n", "hello|error"},
    {"5\r\nhello\r\n\r\n0\r\n\r\n", "hello|error"},
    {"0\n\r\n", "|error"},
    {"0\r\n\n", "|error"},
    {"0\r\n\rX", "|error"},
    {"0\r\nA\r\n\r\n", "|error"},
    {"0\r\nA : b\r\n\r\n", "|error"},
    {"0\r\n: b\r\n\r\n", "|error"},
    {"0\r\nA: b\n\r\n", "|error"},
    {"0\r\nA: b\r\n c\r\n\r\n", "|error"},
    {"0\r\nA: b\rc\r\n\r\n", "|error"},
    {"0\r\nA: \x01\r\n\r\n", "|error"},
    {"0\r\nGET / HTTP/1.1\r\n\r\n", "|error"},
    {"8000000000000000\r\n", "|error"},
    {"ffffffffffffffff\r\n", "|error"},
    {"10000000000000000\r\n", "|error"},
    {"10000000000000005\r\nhello", "|error"},
    {"000000000000000005\r\nhello", "|error"},
    {"1\r\nx\r\n7fffffffffffffff\r\n", "x|error"},
};

}  // namespace

TEST_CASE("chunked bodies, whole and cut anywhere", "[h1]") {
  for (const Row& row : kRows) {
    INFO(row.text);
    CHECK(decode({row.text}) == row.result);
    std::vector<std::string> bytes;
    for (std::size_t cut = 0; cut < row.text.size(); ++cut) {
      bytes.emplace_back(1, row.text[cut]);
      const std::string result = decode({row.text.substr(0, cut), row.text.substr(cut)});
      if (result != row.result) FAIL("cut at " << cut << ": " << result);
    }
    CHECK(decode(bytes) == row.result);
  }
}

TEST_CASE("extensions and trailers are bounded", "[h1]") {
  ChunkedOptions options;
  options.max_extension = 10;
  options.max_overhead = 25;
  options.max_trailers = 20;
  options.max_trailer_fields = 2;
  CHECK(decode({"1;23456789a\r\nx\r\n"}, options) == "x|more");
  CHECK(decode({"1;23456789ab\r\nx\r\n"}, options) == "|error");
  const std::string chunk = "1;23456789a\r\nx\r\n";
  CHECK(decode({chunk + chunk + "1;abc\r\nx\r\n"}, options) == "xxx|more");
  CHECK(decode({chunk + chunk + "1;abcdef\r\nx\r\n"}, options) == "xx|error");
  CHECK(decode({"0\r\nA: b\r\nC: d\r\n\r\n"}, options) == "|done|");
  CHECK(decode({"0\r\nA: b\r\nC: d\r\nE:\r\n\r\n"}, options) == "|error");
  CHECK(decode({"0\r\nA: 0123456789abcdefghij\r\n\r\n"}, options) == "|error");
}

TEST_CASE("decoding in place moves the payload to the front", "[h1]") {
  std::string text = "5\r\nhello\r\n6;x\r\n world\r\n0\r\nT: 1\r\n\r\nnext";
  ChunkedDecoder decoder;
  std::size_t payload = 0;
  REQUIRE(decoder.decode_in_place(text.data(), text.size(), &payload) == Event::done);
  CHECK(text.substr(0, payload) == "hello world");
  CHECK(text.substr(decoder.consumed()) == "next");
  CHECK(decoder.total() == 11);
}

TEST_CASE("trailers that would change the message are left out", "[h1]") {
  ChunkedDecoder decoder;
  const std::string text =
      "0\r\nX-Sum: abc \r\nContent-Length: 5\r\nHost: evil\r\nTransfer-Encoding: x\r\nEmpty:\r\nSet-Cookie: "
      "a\r\n\r\n";
  REQUIRE(decoder.next(text) == Event::done);
  Arena arena;
  http::FieldList fields(arena);
  decoder.trailers(arena, fields);
  REQUIRE(fields.size() == 2);
  CHECK(fields.all()[0].name == "X-Sum");
  CHECK(fields.all()[0].value == "abc");
  CHECK(fields.all()[1].name == "Empty");
  CHECK(fields.all()[1].value.empty());
}

TEST_CASE("what must still come", "[h1]") {
  ChunkedDecoder decoder;
  CHECK(decoder.at_least() == 5);
  decoder.next("5");
  CHECK(decoder.at_least() == 14);
  decoder.next("\r\n");
  CHECK(decoder.at_least() == 12);
  decoder.next("hel");
  CHECK(decoder.at_least() == 9);
  decoder.next("lo");
  CHECK(decoder.at_least() == 7);
  decoder.next("\r\n0\r\n\r");
  CHECK(decoder.at_least() == 1);
}

TEST_CASE("chunk heads are written in hexadecimal", "[h1]") {
  for (std::uint64_t size : {1ull, 15ull, 16ull, 4096ull, 0x7fffffffffffffffull}) {
    char text[kMaxChunkHead];
    const std::string head(text, static_cast<std::size_t>(write_chunk_head(text, size) - text));
    ChunkedDecoder decoder;
    CHECK(decoder.next(head) == Event::need_more);
    CHECK(decoder.at_least() == size + 7);
  }
}
