#include "proto/h1/request_parser.hpp"

#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace mp;
using namespace mp::proto;

namespace {

// Everything the parser says about one input, as text, so that two runs compare with ==.
std::string describe(const RequestHeadParser& p, Parse result) {
  if (result == Parse::need_more) return "more";
  if (result == Parse::error) return std::to_string(p.error().status) + " " + p.error().text;
  const RequestHead& h = p.head();
  std::string s = std::string(h.method_name) + "|" + std::string(h.scheme) + "|" + std::string(h.authority) +
                  "|" + std::string(h.target) + "|" + std::to_string(h.version) + "|" +
                  std::to_string(p.consumed()) + "|" +
                  (h.host ? std::string(h.host->name) + ":" + std::to_string(h.host->port) : "-") + "|" +
                  std::to_string(static_cast<int>(h.body.kind)) + "," + std::to_string(h.body.length) + "|" +
                  std::string(h.protocol) + "|" + std::string(h.request_line) + "\n";
  for (const auto& f : h.fields.all()) {
    s += std::string(f.name) + "=" + std::string(f.value) + "#" + std::to_string(static_cast<int>(f.id)) +
         "\n";
  }
  for (std::size_t i = 0; i < p.ignored_lines(); ++i) s += "ignored " + std::string(p.ignored_line(i)) + "\n";
  return s + "raw " + std::string(h.raw);
}

// Feeds the first `a`, then `b`, then all bytes, each time from a fresh allocation of exactly that size, so
// that ASan sees any read beyond the end and stale views show.
std::string parse_cut(const std::string& text, std::vector<std::size_t> cuts, const HeadOptions& options) {
  Arena arena;
  RequestHeadParser parser(options, arena);
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

std::string parse(const std::string& text, const HeadOptions& options = {}) {
  return parse_cut(text, {}, options);
}

std::string parse_bytewise(const std::string& text, const HeadOptions& options = {}) {
  Arena arena;
  RequestHeadParser parser(options, arena);
  const std::string copy = text;
  for (std::size_t size = 0; size <= copy.size(); ++size) {
    const Parse result = parser.feed({copy.data(), size});
    if (result != Parse::need_more) return describe(parser, result);
  }
  return "more";
}

std::string head_of(std::string line, std::initializer_list<const char*> fields) {
  line += "\r\n";
  for (const char* f : fields) line += std::string(f) + "\r\n";
  return line + "\r\n";
}

std::string with(const std::string& fields) {
  return "POST /x HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n\r\n";
}

std::string refused(const std::string& text, const HeadOptions& options = {}) {
  const std::string result = parse(text, options);
  return result.substr(0, result.find('\n'));
}

struct Refusal {
  std::string text;
  std::string answer;
};

const std::string kNul(1, '\0');

const std::vector<Refusal> kRefusals = {
    // ---- request line
    {"get / HTTP/1.1\r\n\r\n", "400 client sent invalid method"},
    {" GET / HTTP/1.1\r\n\r\n", "400 client sent invalid method"},
    {"G@T / HTTP/1.1\r\n\r\n", "400 client sent invalid method"},
    {"GET\t/ HTTP/1.1\r\n\r\n", "400 client sent invalid method"},
    {"GET\r\n\r\n", "400 client sent invalid method"},
    {"GET", "more"},
    {"\x16\x03\x01\x02", "400 client sent invalid method"},
    {"\rGET / HTTP/1.1\r\n\r\n", "400 client sent invalid method"},
    {"GET \r\n\r\n", "400 client sent invalid request"},
    {"GET HTTP/1.1\r\n\r\n", "400 client sent invalid request"},
    {"GET * HTTP/1.1\r\n\r\n", "400 client sent invalid request"},
    {"GET x HTTP/1.1\r\n\r\n", "400 client sent invalid request"},
    {"GET ?a HTTP/1.1\r\n\r\n", "400 client sent invalid request"},
    {"GET / / HTTP/1.1\r\n\r\n", "400 client sent invalid request"},
    {"GET /\tHTTP/1.1\r\n\r\n", "400 client sent invalid request"},
    {"GET /a\tb HTTP/1.1\r\n\r\n", "400 client sent invalid request"},
    {"GET /\x01 HTTP/1.1\r\n\r\n", "400 client sent invalid request"},
    {"GET /\x7f HTTP/1.1\r\n\r\n", "400 client sent invalid request"},
    {"GET /" + kNul + " HTTP/1.1\r\n\r\n", "400 client sent invalid request"},
    {"GET / HTTP/1.1\rX: y\r\n\r\n", "400 client sent invalid request"},
    {"GET / HTTP/1.1\r\r\n\r\n", "400 client sent invalid request"},
    {"GET /\rHTTP/1.1\r\n\r\n", "400 client sent invalid request"},
    {"GET / http/1.1\r\n\r\n", "400 client sent invalid request"},
    {"GET / HTP/1.1\r\n\r\n", "400 client sent invalid request"},
    {"GET / HTTP/1\r\n\r\n", "400 client sent invalid request"},
    {"GET / HTTP/1.\r\n\r\n", "400 client sent invalid request"},
    {"GET / HTTP/1.11\r\n\r\n", "400 client sent invalid request"},
    {"GET / HTTP/0.9\r\n\r\n", "400 client sent invalid request"},
    {"GET / HTTP/01.1\r\n\r\n", "400 client sent invalid request"},
    {"GET / HTTP/1.1 x\r\n\r\n", "400 client sent invalid request"},
    {"GET / HTTP/+1.1\r\n\r\n", "400 client sent invalid request"},
    {"GET / HTTP/2.0\r\n\r\n", "505 client sent invalid version"},
    {"GET / HTTP/2\r\n\r\n", "505 client sent invalid version"},
    {"GET / HTTP/9.9\r\n\r\n", "505 client sent invalid version"},
    {"GET / HTTP/10.1\r\n\r\n", "505 client sent invalid version"},
    {"POST /\r\n", "400 client sent invalid method in HTTP/0.9 request"},
    {"HEAD / \r\n", "400 client sent invalid method in HTTP/0.9 request"},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400 client sent invalid request"},
    // ---- absolute form
    {"GET http:/a/ HTTP/1.1\r\nHost: a\r\n\r\n", "400 client sent invalid request"},
    {"GET http//a/ HTTP/1.1\r\nHost: a\r\n\r\n", "400 client sent invalid request"},
    {"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", "400 client sent invalid host in request line"},
    {"GET http://a..b/ HTTP/1.1\r\nHost: a\r\n\r\n", "400 client sent invalid host in request line"},
    {"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", "400 client sent invalid request"},
    {"GET http://a:80x/ HTTP/1.1\r\nHost: a\r\n\r\n", "400 client sent invalid request"},
    {"GET http://[::1/ HTTP/1.1\r\nHost: a\r\n\r\n", "400 client sent invalid request"},
    {"GET http://a/ HTTP/1.1\r\n\r\n", "400 client sent HTTP/1.1 request without \"Host\" header"},
    {"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "405 client sent CONNECT method"},
    {"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", "400 client sent invalid request"},
    {"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", "400 client sent invalid request"},
    {"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", "405 client sent TRACE method"},
    // ---- header lines
    {"GET / HTTP/1.1\r\n\r\n", "400 client sent HTTP/1.1 request without \"Host\" header"},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "400 client sent invalid host header"},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400 client sent invalid host header"},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400 client sent invalid host header"},
    {"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "400 client sent invalid host header"},
    {"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", ""},
    {"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", "400 client sent invalid host header"},
    {"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n",
     "400 client sent duplicate host header: \"host: b\", previous value: \"Host: a\""},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
     "400 client sent duplicate host header: \"Host: a\", previous value: \"Host: a\""},
    {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400 client sent invalid header line: \"\\x20...\""},
    {with("A: b\r\n c"), "400 client sent invalid header line: \"\\x20...\""},
    {with("A: b\r\n\tc"), "400 client sent invalid header line: \"\\x09...\""},
    {with("A : b"), "400 client sent invalid header line: \"A\\x20...\""},
    {with("A\t: b"), "400 client sent invalid header line: \"A\\x09...\""},
    {with("A b: c"), "400 client sent invalid header line: \"A\\x20...\""},
    {with(": b"), "400 client sent invalid header line: \"\\x3a...\""},
    {with("NoColon"), "400 client sent invalid header line: \"NoColon\\x0d...\""},
    {with("A: b\rC: d"), "400 client sent invalid header line: \"A: b\\x0d...\""},
    {with("A: b\r"), "400 client sent invalid header line: \"A: b\\x0d...\""},
    {with("A: b\x01"), "400 client sent invalid header line: \"A: b\\x01...\""},
    {with("A: b" + kNul + "c"), "400 client sent invalid header line: \"A: b\\x00...\""},
    {with("A" + kNul + ": b"), "400 client sent invalid header line: \"A\\x00...\""},
    {with("A\r: b"), "400 client sent invalid header line: \"A\\x0d...\""},
    {with("A: b\x7f"), "400 client sent invalid header line: \"A: b\\x7f...\""},
    {with("A: \x0b"), "400 client sent invalid header line: \"A: \\x0b...\""},
    {"GET / HTTP/1.1\r\nHost: a\r\n\rX", "400 client sent invalid header line: \"\\x0d...\""},
    {with("If-Match: 1\r\nIf-Match: 2"),
     "400 client sent duplicate header line: \"If-Match: 2\", previous value: \"If-Match: 1\""},
    {with("Authorization: 1\r\nauthorization: 2"),
     "400 client sent duplicate header line: \"authorization: 2\", previous value: \"Authorization: 1\""},
    // ---- framing: what request smuggling is made of
    {with("Content-Length: 5\r\nTransfer-Encoding: chunked"),
     "400 client sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time"},
    {with("Transfer-Encoding: chunked\r\nContent-Length: 5"),
     "400 client sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time"},
    {with("Transfer-Encoding: chunked\r\nContent-Length: 0"),
     "400 client sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time"},
    {with("Content-Length: 5\r\nContent-Length: 5"),
     "400 client sent duplicate header line: \"Content-Length: 5\", previous value: \"Content-Length: 5\""},
    {with("Content-Length: 5\r\ncontent-length: 6"),
     "400 client sent duplicate header line: \"content-length: 6\", previous value: \"Content-Length: 5\""},
    {with("Content-Length: 5, 5"), "400 client sent invalid \"Content-Length\" header"},
    {with("Content-Length: +5"), "400 client sent invalid \"Content-Length\" header"},
    {with("Content-Length: -5"), "400 client sent invalid \"Content-Length\" header"},
    {with("Content-Length: 0x5"), "400 client sent invalid \"Content-Length\" header"},
    {with("Content-Length: 5 6"), "400 client sent invalid \"Content-Length\" header"},
    {with("Content-Length: 5.0"), "400 client sent invalid \"Content-Length\" header"},
    {with("Content-Length:"), "400 client sent invalid \"Content-Length\" header"},
    {with("Content-Length: x"), "400 client sent invalid \"Content-Length\" header"},
    {with("Content-Length: 9223372036854775808"), "400 client sent invalid \"Content-Length\" header"},
    {with("Content-Length: 18446744073709551616"), "400 client sent invalid \"Content-Length\" header"},
    {with("Content-Length: 99999999999999999999999999"), "400 client sent invalid \"Content-Length\" header"},
    {with("Content-Length : 5"), "400 client sent invalid header line: \"Content-Length\\x20...\""},
    {with("Transfer-Encoding : chunked"),
     "400 client sent invalid header line: \"Transfer-Encoding\\x20...\""},
    {with("Transfer-Encoding: identity"), "501 client sent unknown \"Transfer-Encoding\": \"identity\""},
    {with("Transfer-Encoding: gzip, chunked"),
     "501 client sent unknown \"Transfer-Encoding\": \"gzip, chunked\""},
    {with("Transfer-Encoding: chunked, chunked"),
     "501 client sent unknown \"Transfer-Encoding\": \"chunked, chunked\""},
    {with("Transfer-Encoding: chunked, identity"),
     "501 client sent unknown \"Transfer-Encoding\": \"chunked, identity\""},
    {with("Transfer-Encoding: xchunked"), "501 client sent unknown \"Transfer-Encoding\": \"xchunked\""},
    {with("Transfer-Encoding: chunkedx"), "501 client sent unknown \"Transfer-Encoding\": \"chunkedx\""},
    {with("Transfer-Encoding: \"chunked\""),
     "501 client sent unknown \"Transfer-Encoding\": \"\"chunked\"\""},
    {with("Transfer-Encoding: chunked;q=1"),
     "501 client sent unknown \"Transfer-Encoding\": \"chunked;q=1\""},
    {with("Transfer-Encoding: ,chunked"), "501 client sent unknown \"Transfer-Encoding\": \",chunked\""},
    {with("Transfer-Encoding:"), "501 client sent unknown \"Transfer-Encoding\": \"\""},
    {with("Transfer-Encoding: \xc3\xa7hunked"),
     "501 client sent unknown \"Transfer-Encoding\": \"\xc3\xa7hunked\""},
    {with("Transfer-Encoding: chunked\x0b"),
     "400 client sent invalid header line: \"Transfer-Encoding: chunked\\x0b...\""},
    {with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
     "400 client sent duplicate header line: \"Transfer-Encoding: chunked\", previous value: "
     "\"Transfer-Encoding: chunked\""},
    {with("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
     "400 client sent duplicate header line: \"Transfer-Encoding: identity\", previous value: "
     "\"Transfer-Encoding: chunked\""},
    {with("Transfer-Encoding: identity\r\nContent-Length: 5"),
     "501 client sent unknown \"Transfer-Encoding\": \"identity\""},
    {with("X: y\rTransfer-Encoding: chunked"), "400 client sent invalid header line: \"X: y\\x0d...\""},
    {with("Transfer-Encoding:\r\n chunked"), "400 client sent invalid header line: \"\\x20...\""},
    {with("Foo: bar\r\n\tTransfer-Encoding: chunked"), "400 client sent invalid header line: \"\\x09...\""},
    {with("Content-Length:\r5"), "400 client sent invalid header line: \"Content-Length:\\x0d...\""},
    {with("\rContent-Length: 5"), "400 client sent invalid header line: \"\\x0d...\""},
    {"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
     "400 client sent HTTP/1.0 request with \"Transfer-Encoding\" header"},
};

}  // namespace

TEST_CASE("a plain request", "[h1]") {
  const std::string text =
      head_of("GET /index.html?a=b HTTP/1.1",
              {"Host: Example.COM:8080", "User-Agent: x y", "Accept:*/*", "X-Empty:", "X-Tab:\ta\tb\t "});
  CHECK(parse(text + "more") ==
        "GET|||/index.html?a=b|1001|" + std::to_string(text.size()) +
            "|example.com:8080|0,-1|HTTP/1.1|GET /index.html?a=b HTTP/1.1\n"
            "Host=Example.COM:8080#" +
            std::to_string(static_cast<int>(http::HeaderId::host)) + "\nUser-Agent=x y#" +
            std::to_string(static_cast<int>(http::HeaderId::user_agent)) + "\nAccept=*/*#" +
            std::to_string(static_cast<int>(http::HeaderId::accept)) + "\nX-Empty=#0\nX-Tab=a\tb#0\nraw " +
            text);
}

TEST_CASE("request lines that are accepted", "[h1]") {
  struct Row {
    const char* line;
    const char* start;
  };
  const Row rows[] = {
      {"GET / HTTP/1.0", "GET|||/|1000|"},
      {"GET /a HTTP/1.9", "GET|||/a|1009|"},
      {"FOO-BAR_BAZ /a HTTP/1.0", "FOO-BAR_BAZ|||/a|1000|"},
      {"GET   /a   HTTP/1.0   ", "GET|||/a|1000|"},
      {"GET /\"<>\\^`{|}\xff HTTP/1.0", "GET|||/\"<>\\^`{|}\xff|1000|"},
      {"GET //a/../%2e#f?x HTTP/1.0", "GET|||//a/../%2e#f?x|1000|"},
      {"GET http://a.b HTTP/1.0", "GET|http|a.b|/|1000|"},
      {"GET HTTPS://A:80/x?y HTTP/1.0", "GET|HTTPS|A:80|/x?y|1000|"},
      {"GET a+b-1.c://[::1]:8?y HTTP/1.0", "GET|a+b-1.c|[::1]:8|?y|1000|"},
  };
  for (const Row& row : rows) {
    INFO(row.line);
    CHECK(parse(std::string(row.line) + "\r\nHost: x\r\n\r\n").substr(0, std::string(row.start).size()) ==
          row.start);
    CHECK(parse(std::string(row.line) + "\nHost: x\n\n").substr(0, std::string(row.start).size()) ==
          row.start);
  }
}

TEST_CASE("a simple request of HTTP/0.9 has no header", "[h1]") {
  CHECK(parse("GET /a\r\nHost: x\r\n\r\n") == "GET|||/a|9|8|-|0,-1||GET /a\nraw GET /a\r\n");
  CHECK(parse("GET /a \n") == "GET|||/a|9|8|-|0,-1||GET /a \nraw GET /a \n");
}

TEST_CASE("empty lines in front are skipped, and counted", "[h1]") {
  CHECK(parse("\r\n\n\r\nGET / HTTP/1.0\r\n\r\n").find("|1000|23|") != std::string::npos);
  Arena arena;
  HeadOptions options;
  RequestHeadParser parser(options, arena);
  CHECK(parser.feed("\r\n\r") == Parse::need_more);
  CHECK_FALSE(parser.started());
  CHECK(parser.consumed() == 2);
  const std::string request = "GET / HTTP/1.0\r\n\r\n";
  CHECK(parse(std::string(4096, '\n') + request).find("|1000|") != std::string::npos);
  CHECK(refused(std::string(4097, '\n') + request).substr(0, 3) == "400");
}

TEST_CASE("the host of the request line wins over the field", "[h1]") {
  CHECK(parse("GET http://One.:81/ HTTP/1.1\r\nHost: two\r\n\r\n").find("|one:81|") != std::string::npos);
  CHECK(refused("GET http://one/ HTTP/1.1\r\nHost: t o\r\n\r\n") == "400 client sent invalid host header");
}

TEST_CASE("body framing of accepted requests", "[h1]") {
  CHECK(parse(with("Content-Length: 5")).find("|1,5|") != std::string::npos);
  CHECK(parse(with("Content-Length:\t 05  ")).find("|1,5|") != std::string::npos);
  CHECK(parse(with("Content-Length: 5\t")).find("|1,5|") != std::string::npos);
  CHECK(parse(with("Content-Length: 0")).find("|1,0|") != std::string::npos);
  CHECK(parse(with("Content-Length: 9223372036854775807")).find("|1,9223372036854775807|") !=
        std::string::npos);
  CHECK(parse(with("Transfer-Encoding: chunked")).find("|2,-1|") != std::string::npos);
  CHECK(parse(with("TRANSFER-ENCODING:\tChunKed ")).find("|2,-1|") != std::string::npos);
  CHECK(parse(with("X-Transfer-Encoding: chunked")).find("|0,-1|") != std::string::npos);
  CHECK(parse(with("Content-Length: 5\r\nX: Content-Length: 6")).find("|1,5|") != std::string::npos);
}

TEST_CASE("requests that are refused", "[h1]") {
  for (const Refusal& row : kRefusals) {
    INFO(row.text);
    if (row.answer.empty()) {
      CHECK(parse(row.text).find("raw ") != std::string::npos);
    } else {
      CHECK(refused(row.text) == row.answer);
    }
  }
}

TEST_CASE("tabs stand anywhere in a value, whatever is behind them and wherever the head ends", "[h1]") {
  for (std::size_t before = 0; before < 20; ++before) {
    for (std::size_t behind = 0; behind < 20; ++behind) {
      const std::string value = "v" + std::string(before, '-') + "\t \t\t " + std::string(behind, '-') + "v";
      const std::string text = with("X: " + value);
      INFO(text);
      const std::string plain = parse(text);
      CHECK(plain.find("\nX=" + value + "#0\n") != std::string::npos);
      CHECK(parse_bytewise(text) == plain);
    }
  }
}

TEST_CASE("one control anywhere in a field is refused, however long the field is", "[h1]") {
  for (std::size_t size = 1; size < 40; ++size) {
    const std::string line = "Name-" + std::to_string(size) + ": " + std::string(size, 'v');
    for (std::size_t at = 0; at < line.size(); ++at) {
      for (const char control : {'\0', '\x01', '\x1f', '\x7f'}) {
        std::string broken = line;
        broken[at] = control;
        const std::string whole = "GET / HTTP/1.1\r\nHost: a\r\n" + broken + "\r\n\r\n";
        const std::string result = parse(whole);
        INFO(at);
        CHECK(result.find("400") != std::string::npos);
        CHECK(parse_bytewise(whole) == result);
      }
    }
  }
}

TEST_CASE("odd header names are left out, or kept when that is switched off", "[h1]") {
  const std::string text =
      with("X.Y: 1\r\nA_b: 2\r\n(c): 3\r\nD: 4\r\n\xe4: 5\r\nTransfer_Encoding: chunked");
  const std::string plain = parse(text);
  CHECK(plain.find("\nD=4#0\n") != std::string::npos);
  CHECK(plain.find(
            "\nignored X.Y: 1\nignored A_b: 2\nignored (c): 3\nignored \xe4: 5\nignored Transfer_Encoding: "
            "chunked\n") != std::string::npos);
  CHECK(parse_bytewise(text) == plain);

  HeadOptions underscores;
  underscores.underscores = true;
  CHECK(parse(text, underscores).find("\nA_b=2#0\n") != std::string::npos);

  HeadOptions keep;
  keep.ignore_odd_names = false;
  CHECK(parse(with("X.Y: 1\r\nA_b: 2"), keep).find("\nX.Y=1#0\nA_b=2#0\n") != std::string::npos);
  CHECK(parse(with("X: 1\r\n(c): 3\r\n\xe4/: 5"), keep).find("\nX=1#0\n(c)=3#0\n\xe4/=5#0\n") !=
        std::string::npos);
  CHECK(refused(with("_Content-Length: 4\r\nX: a\rb")) ==
        "400 client sent invalid header line: \"X: a\\x0d...\"");
}

TEST_CASE("bare line feeds can be refused", "[h1]") {
  HeadOptions strict;
  strict.bare_lf = false;
  CHECK(parse("GET / HTTP/1.1\nHost: a\n\n").find("Host=a") != std::string::npos);
  CHECK(parse("GET / HTTP/1.1\r\nHost: a\n\r\n").find("Host=a") != std::string::npos);
  CHECK(refused("GET / HTTP/1.1\n\n", strict) == "400 client sent invalid request");
  CHECK(refused("GET / HTTP/1.1\r\nHost: a\n\r\n", strict) ==
        "400 client sent invalid header line: \"Host: a\\x0a...\"");
  CHECK(refused("GET / HTTP/1.1\r\nHost: a\r\n\n", strict) ==
        "400 client sent invalid header line: \"\\x0a...\"");
}

TEST_CASE("limits follow the header buffers", "[h1]") {
  HeadOptions small;
  small.first_buffer = 64;
  small.large_buffer = 100;
  small.large_buffers = 2;
  const auto line = [](std::size_t size) { return "GET /" + std::string(size - 16, 'a') + " HTTP/1.0\r\n"; };
  const auto field = [](std::size_t size) { return "A: " + std::string(size - 5, 'b') + "\r\n"; };
  const std::string head = "GET / HTTP/1.0\r\n";  // 16 bytes

  struct Row {
    std::string text;
    const char* answer;
  };
  const Row rows[] = {
      {line(100) + "\r\n", ""},
      {line(101) + "\r\n", "414 client sent too long URI"},
      {"GET /" + std::string(95, 'a'), "414 client sent too long URI"},
      {"GET /" + std::string(94, 'a'), "more"},
      {head + field(48) + "\r\n", ""},  // fills the first buffer; the end needs a large one
      {head + field(100) + field(90) + "\r\n", ""},
      {head + field(100) + field(99) + "\r\n", "494 client sent too long header line: \"\r...\""},
      {head + field(100) + field(100) + "\r\n", "494 client sent too large request"},
      {head + field(101) + "\r\n", nullptr},
      {head + field(60) + field(60) + field(60) + "\r\n", nullptr},
      {head + field(48) + field(100) + field(98) + "\r\n", ""},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    const std::string whole = parse(row.text, small);
    if (row.answer == nullptr) {
      CHECK(whole.substr(0, 42) == "494 client sent too long header line: \"A: ");
    } else if (*row.answer == '\0') {
      CHECK(whole.find("raw GET") != std::string::npos);
    } else {
      CHECK(whole == row.answer);
    }
    CHECK(parse_bytewise(row.text, small) == whole);
  }
}

TEST_CASE("the number of fields is limited", "[h1]") {
  HeadOptions options;
  options.max_fields = 3;
  CHECK(parse(with("A: 1\r\nB: 2"), options).find("B=2") != std::string::npos);
  CHECK(refused(with("A: 1\r\nB: 2\r\nC: 3"), options) == "494 client sent too many header lines");
}

TEST_CASE("CONNECT, when it is allowed", "[h1]") {
  HeadOptions options;
  options.allow_connect = true;
  CHECK(parse("CONNECT a.b:443 HTTP/1.1\r\nHost: a.b\r\n\r\n", options).substr(0, 28) ==
        "CONNECT||a.b:443|/|1001|39|a");
  CHECK(refused("CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", options) ==
        "400 client sent CONNECT request with body");
}

TEST_CASE("the connection option", "[h1]") {
  const auto option = [](const std::string& fields) {
    Arena arena;
    HeadOptions options;
    RequestHeadParser parser(options, arena);
    const std::string text = with(fields);
    REQUIRE(parser.feed(text) == Parse::complete);
    return parser.head().connection;
  };
  using http::ConnectionOption;
  CHECK(option("A: b") == ConnectionOption::unset);
  CHECK(option("Connection: close") == ConnectionOption::close);
  CHECK(option("Connection: Upgrade, CLOSE") == ConnectionOption::close);
  CHECK(option("Connection: keep-alive, Upgrade") == ConnectionOption::keep_alive);
  CHECK(option("Connection: close\r\nConnection: keep-alive") == ConnectionOption::keep_alive);
  CHECK(option("Connection: closed") == ConnectionOption::unset);
}

TEST_CASE("cut anywhere, a request gives the same result", "[h1]") {
  std::vector<std::string> texts = {
      head_of("GET /index.html?a=b HTTP/1.1",
              {"Host: a", "Content-Length: 12", "X.Y: odd", "Cookie: a=b; c=d", "Connection: close, x"}),
      "\r\n\nPOST http://A.b:1/ HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\r\nA:\r\n\nrest",
      "GET http://lower.case/ HTTP/1.1\r\nHost: b\r\n\r\n",
      "GET /\r\n",
  };
  for (const Refusal& row : kRefusals) texts.push_back(row.text);
  const HeadOptions options;
  for (const std::string& text : texts) {
    INFO(text);
    const std::string whole = parse(text);
    CHECK(parse_bytewise(text) == whole);
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
      if (parse_cut(text, {cut}, options) != whole)
        FAIL("cut at " << cut << ": " << parse_cut(text, {cut}, options));
    }
  }
}

TEST_CASE("cut at any two points", "[h1]") {
  const std::string text = "POST /a HTTP/1.1\r\nHost: a\r\nX_Y: 1\r\nContent-Length: 3\r\nA:\r\n\r\nabc";
  const HeadOptions options;
  const std::string whole = parse(text);
  REQUIRE(whole.find("raw POST") != std::string::npos);
  for (std::size_t a = 0; a <= text.size(); ++a) {
    for (std::size_t b = a; b <= text.size(); ++b) {
      if (parse_cut(text, {a, b}, options) != whole) FAIL("cut at " << a << " and " << b);
    }
  }
}
