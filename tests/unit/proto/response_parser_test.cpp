#include "proto/h1/response_parser.hpp"

#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace mp;
using namespace mp::proto;

namespace {

std::string describe(const ResponseHeadParser& p, Parse result) {
  if (result == Parse::need_more) return "more";
  if (result == Parse::error) return std::to_string(p.error().status) + " " + p.error().text;
  const ResponseHead& h = p.head();
  std::string s = std::to_string(h.version) + "|" + std::to_string(h.status) + "|" +
                  std::string(h.status_line) + "|" + std::string(h.reason) + "|" +
                  std::to_string(h.content_length) + (h.chunked ? " chunked" : "") +
                  (h.connection_close ? " close" : "") + "|" + std::to_string(p.consumed());
  for (const auto& f : h.fields.all()) s += "\n" + std::string(f.name) + "=" + std::string(f.value);
  return s;
}

std::string parse_cut(const std::string& text, std::vector<std::size_t> cuts) {
  Arena arena;
  ResponseHeadParser parser(arena);
  std::vector<std::unique_ptr<char[]>> buffers;
  cuts.push_back(text.size());
  Parse result = Parse::need_more;
  for (std::size_t size : cuts) {
    buffers.push_back(std::make_unique<char[]>(size == 0 ? 1 : size));
    std::copy_n(text.data(), size, buffers.back().get());
    if (buffers.size() > 1) buffers[buffers.size() - 2].reset();
    result = parser.feed({buffers.back().get(), size});
    if (result != Parse::need_more) break;
  }
  return describe(parser, result);
}

std::string parse(const std::string& text) {
  return parse_cut(text, {});
}
std::string with(const std::string& fields) {
  return "HTTP/1.1 200 OK\r\n" + fields + "\r\n\r\n";
}

struct Row {
  std::string text;
  std::string result;
};

const std::vector<Row> kRows = {
    {"HTTP/1.1 200 OK\r\nServer: x\r\nX_y.z: a\tb \r\nEmpty:\r\n\r\nbody",
     "1001|200|200 OK|OK|-1|51\nServer=x\nX_y.z=a\tb\nEmpty="},
    {"HTTP/1.1 200\r\n\r\n", "1001|200|200||-1|16"},
    {"HTTP/1.1 200 \r\n\r\n", "1001|200|200 ||-1|17"},
    {"HTTP/1.1  404 Not  Found\n\n", "1001|404|404 Not  Found|Not  Found|-1|26"},
    {"HTTP/1.1 403.1 IIS\r\n\r\n", "1001|403|403.1 IIS|.1 IIS|-1|22"},
    {"HTTP/1.0 200 OK\r\n\r\n", "1000|200|200 OK|OK|-1 close|19"},
    {"HTTP/1.1 200 \xe4\t\r\n\r\n", "1001|200|200 \xe4\t|\xe4\t|-1|19"},
    {"HTTP/1.1 200 OK\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\n", "1001|200|200 OK|OK|-1|42\nA=b"},
    {with("Connection: x, Close"), "1001|200|200 OK|OK|-1 close|41\nConnection=x, Close"},
    {with("A(: c"), "1001|200|200 OK|OK|-1|26\nA(=c"},
    {with("Content-Length: 12"), "1001|200|200 OK|OK|12|39\nContent-Length=12"},
    {with("Transfer-Encoding: Chunked"), "1001|200|200 OK|OK|-1 chunked|47\nTransfer-Encoding=Chunked"},
    {"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK",
     "1001|103|103 Early Hints|Early Hints|-1|37\nLink=a"},
    {"HTTP/1.1 10", "more"},
    {"HT", "more"},
    {"HTTP/1.1 200 OK\r\nA: b\r\n\r", "more"},
    // not HTTP at all: everything is a body
    {"hello", "9|200|||-1 close|0"},
    {"HTTQ", "9|200|||-1 close|0"},
    {"HTTP/1.1 20 OK\r\n\r\n", "9|200|||-1 close|0"},
    {"HTTP/1.1 2000 OK\r\n\r\n", "9|200|||-1 close|0"},
    {"HTTP/1.1 abc\r\n\r\n", "9|200|||-1 close|0"},
    {"HTTP/x.1 200\r\n\r\n", "9|200|||-1 close|0"},
    {"HTTP/0.9 200\r\n\r\n", "9|200|||-1 close|0"},
    {"HTTP/1.1\r\n\r\n", "9|200|||-1 close|0"},
    {"HTTP/1.1 200 OK\rX\r\n\r\n", "9|200|||-1 close|0"},
    // refused
    {"HTTP/1.0 103 Early Hints\r\n\r\n", "502 upstream sent HTTP/1.0 response with early hints"},
    {"HTTP/1.1 103 EH\r\nContent-Length:\r\n\r\n",
     "502 upstream sent invalid \"Content-Length\" header: \"Content-Length: \""},
    {with("A b: c"), "502 upstream sent invalid header: \"A\\x20...\""},
    {with("A : c"), "502 upstream sent invalid header: \"A\\x20...\""},
    {with(" A: c"), "502 upstream sent invalid header: \"\\x20...\""},
    {with("A: c\r\n folded"), "502 upstream sent invalid header: \"\\x20...\""},
    {with("A"), "502 upstream sent invalid header: \"A\\x0d...\""},
    {with("A: c\rB: d"), "502 upstream sent invalid header: \"A: c\\x0d...\""},
    {with("A: \x01"), "502 upstream sent invalid header: \"A: \\x01...\""},
    {with(std::string("A: \0", 4)), "502 upstream sent invalid header: \"A: \\x00...\""},
    {with("A\x7f: c"), "502 upstream sent invalid header: \"A\\x7f...\""},
    {with("Content-Length: 1\r\nContent-Length: 1"),
     "502 upstream sent duplicate header line: \"Content-Length: 1\", previous value: \"Content-Length: 1\""},
    {with("Content-Length: 1\r\ncontent-length: 2"),
     "502 upstream sent duplicate header line: \"content-length: 2\", previous value: \"Content-Length: 1\""},
    {with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
     "502 upstream sent duplicate header line: \"Transfer-Encoding: chunked\", previous value: "
     "\"Transfer-Encoding: chunked\""},
    {with("Content-Length: 1\r\nTransfer-Encoding: chunked"),
     "502 upstream sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time"},
    {with("Transfer-Encoding: chunked\r\nContent-Length: 1"),
     "502 upstream sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time"},
    {with("Content-Length: x"), "502 upstream sent invalid \"Content-Length\" header: \"Content-Length: x\""},
    {with("Content-Length:"), "502 upstream sent invalid \"Content-Length\" header: \"Content-Length: \""},
    {with("Content-Length: -1"),
     "502 upstream sent invalid \"Content-Length\" header: \"Content-Length: -1\""},
    {with("Transfer-Encoding: gzip"), "502 upstream sent unknown \"Transfer-Encoding\": \"gzip\""},
    {with("Transfer-Encoding: gzip, chunked"),
     "502 upstream sent unknown \"Transfer-Encoding\": \"gzip, chunked\""},
};

}  // namespace

TEST_CASE("responses, whole and cut anywhere", "[h1]") {
  for (const Row& row : kRows) {
    INFO(row.text);
    CHECK(parse(row.text) == row.result);
    std::vector<std::size_t> every;
    for (std::size_t cut = 0; cut <= row.text.size(); ++cut) {
      every.push_back(cut);
      if (parse_cut(row.text, {cut}) != row.result)
        FAIL("cut at " << cut << ": " << parse_cut(row.text, {cut}));
    }
    CHECK(parse_cut(row.text, every) == row.result);
  }
}

TEST_CASE("a parser starts over behind an interim response", "[h1]") {
  Arena arena;
  ResponseHeadParser parser(arena);
  const std::string text =
      "HTTP/1.1 100 Continue\r\nA: 1\r\n\r\nHTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n";
  REQUIRE(parser.feed(text) == Parse::complete);
  CHECK(parser.head().interim());
  const std::size_t first = parser.consumed();
  parser.restart();
  REQUIRE(parser.feed(std::string_view(text).substr(first)) == Parse::complete);
  CHECK(describe(parser, Parse::complete) == "1001|204|204 No|No|5|38\nContent-Length=5");
  CHECK_FALSE(parser.head().interim());
}

TEST_CASE("fields of a response are limited", "[h1]") {
  Arena arena;
  ResponseHeadParser parser(arena, 2);
  CHECK(parser.feed(with("A: 1\r\nB: 2\r\nC: 3")) == Parse::error);
}

TEST_CASE("framing of response bodies", "[h1]") {
  using http::BodyKind;
  const auto kind = [](const std::string& text, bool head = false, bool connect = false) {
    Arena arena;
    ResponseHeadParser parser(arena);
    REQUIRE(parser.feed(text) == Parse::complete);
    const auto framing = response_framing(parser.head(), head, connect);
    return std::pair(framing.kind, framing.length);
  };
  const std::string sized = "Content-Length: 7\r\n\r\n";
  CHECK(kind("HTTP/1.1 200 OK\r\n" + sized) == std::pair(BodyKind::length, std::int64_t{7}));
  CHECK(kind("HTTP/1.1 200 OK\r\n" + sized, true) == std::pair(BodyKind::none, std::int64_t{7}));
  CHECK(kind("HTTP/1.1 304 NM\r\n" + sized) == std::pair(BodyKind::none, std::int64_t{7}));
  CHECK(kind("HTTP/1.1 204 NC\r\n\r\n").first == BodyKind::none);
  CHECK(kind("HTTP/1.1 103 EH\r\n\r\n").first == BodyKind::none);
  CHECK(kind("HTTP/1.1 101 SP\r\n\r\n").first == BodyKind::until_close);
  CHECK(kind("HTTP/1.1 200 OK\r\n" + sized, false, true).first == BodyKind::until_close);
  CHECK(kind("HTTP/1.1 403 No\r\n" + sized, false, true).first == BodyKind::length);
  CHECK(kind("HTTP/1.1 200 OK\r\n\r\n").first == BodyKind::until_close);
  CHECK(kind("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").first == BodyKind::chunked);
  CHECK(kind("no head").first == BodyKind::until_close);
}
