#include "http/uri.hpp"

#include <string>

#include <catch2/catch.hpp>

#include "http/uri_authority.hpp"

using namespace mp;
using namespace mp::http;

namespace {

struct Row {
  std::string_view raw;
  std::string_view path;  // empty: refused
  std::string_view args = {};
  std::string_view extension = {};
};

void check(const Row& row, bool merge) {
  Arena arena;
  CAPTURE(row.raw, merge);
  const auto uri = parse_request_uri(arena, row.raw, merge);
  CHECK(uri.has_value() == !row.path.empty());
  if (!uri) return;
  CHECK(uri->raw == row.raw);
  CHECK(uri->path == row.path);
  CHECK(uri->args == row.args);
  CHECK(uri->extension == row.extension);
}

using namespace std::literals;

}  // namespace

TEST_CASE("uri: canonical paths", "[http][uri]") {
  const Row rows[] = {
      {"/", "/"},
      {"/index.html", "/index.html", "", "html"},
      {"/a.b/c", "/a.b/c"},
      {"/a.tar.gz?x=1&y=2", "/a.tar.gz", "x=1&y=2", "gz"},
      {"/?", "/"},
      {"/a?b?c", "/a", "b?c"},
      {"/a?b#c", "/a", "b"},
      {"/a#c", "/a"},
      {"/a#b?c", "/a"},
      {"/a?#", "/a"},
      {"/a/./b", "/a/b"},
      {"/a/../b", "/b"},
      {"/a/b/../../c", "/c"},
      {"/a/..", "/"},
      {"/a/.", "/a/"},
      {"/a/b/..", "/a/"},
      {"/a/b/..?x", "/a/", "x"},
      {"/a/b/.?x", "/a/b/", "x"},
      {"/a/b/..#x", "/a/"},
      {"/..", ""},
      {"/../", ""},
      {"/a/../..", ""},
      {"/a/../../b", ""},
      {"/%2e%2E/", ""},
      {"/...", "/..."},
      {"/.../x", "/.../x"},
      {"/a/..b", "/a/..b"},
      {"/a/.b", "/a/.b"},
      {"/.b.c", "/.b.c", "", "c"},
      {"/...a.txt", "/...a.txt", "", "txt"},
      {"/a/b.txt/../c", "/a/c"},
      {"/a.", "/a."},
      {"/a%20b", "/a b"},
      {"/a%2Fb", "/a/b"},
      {"/a%2f..%2fb", "/b"},
      {"/a/%2e%2e/b", "/b"},
      {"/a%2Etxt", "/a.txt", "", "txt"},
      {"/a%3Fb", "/a?b"},
      {"/a%3Fb?c", "/a?b", "c"},
      {"/a%23b", "/a#b"},
      {"/a%25b", "/a%b"},
      {"/a%2541", "/a%41"},
      {"/.%2541", "/.%41"},
      {"/a%", ""},
      {"/a%4", ""},
      {"/a%4g", ""},
      {"/a%g4", ""},
      {"/a%4?1", ""},
      {"/a%00b", ""},
      {"/a%01", "/a\x01"},
      {"/a%ff\xc3\xa9", "/a\xff\xc3\xa9"},
      {"/a?%00%zz", "/a", "%00%zz"},
      {"?a=b", "/", "a=b"},
      {"?", "/"},
      {"?a#b", "/", "a"},
      {"", ""},
      {"a", ""},
      {"#a", ""},
      {"/a b", ""},
      {"/a?b c", ""},
      {"/a%20?b c", ""},
      {"/a#b c", ""},
      {"/a\x7f", ""},
      {"/\x01", ""},
      {"/a?b\x1f", ""},
      {"/a\0b"sv, ""},
      {"/../a%20\x01", ""},
      {"/+/a+b", "/+/a+b"},
      {"/a%2Bb", "/a+b"},
      {"/a\"<>\\^`{|}", "/a\"<>\\^`{|}"},
  };
  for (const Row& row : rows) {
    check(row, true);
    check(row, false);
  }
}

TEST_CASE("uri: slashes are merged on request", "[http][uri]") {
  const Row merged[] = {
      {"//", "/"},           {"/a//b", "/a/b"},  {"///a///", "/a/"},
      {"/a%2F%2fb", "/a/b"}, {"/a//../b", "/b"}, {"//..", ""},
  };
  for (const Row& row : merged) check(row, true);
  const Row kept[] = {
      {"//", "//"},         {"/a//b", "/a//b"}, {"///a///", "///a///"}, {"/a%2F%2fb", "/a//b"},
      {"/a//../b", "/a/b"}, {"//..", "/"},      {"//../..", ""},        {"/a///../b", "/a//b"},
  };
  for (const Row& row : kept) check(row, false);
}

TEST_CASE("uri: flags", "[http][uri]") {
  Arena arena;
  const std::string_view plain = "/a.b?c";
  CHECK(parse_request_uri(arena, plain, true)->path.data() == plain.data());
  CHECK_FALSE(parse_request_uri(arena, plain, true)->quoted);
  CHECK_FALSE(parse_request_uri(arena, plain, true)->plus);
  CHECK(parse_request_uri(arena, "/a%20", true)->quoted);
  CHECK_FALSE(parse_request_uri(arena, "/a/../b?%20", true)->quoted);
  CHECK(parse_request_uri(arena, "/a+b", true)->plus);
  CHECK(parse_request_uri(arena, "/a/../b+", true)->plus);
  CHECK(parse_request_uri(arena, "/a%2b", true)->plus);
  CHECK_FALSE(parse_request_uri(arena, "/a?b+c", true)->plus);
  CHECK_FALSE(parse_request_uri(arena, "/..+/../a//b", true)->path.empty());
  CHECK(parse_request_uri(arena, "/", true)->raw_valid);
  CHECK_FALSE(parse_request_uri(arena, "?a", true)->raw_valid);
}

TEST_CASE("uri: what is canonical is taken as it stands", "[http][uri]") {
  for (int c = 0; c < 256; ++c) {
    const std::string raw = std::string("/a") + static_cast<char>(c) + "b";
    RequestUri uri;
    INFO(c);
    const bool plain = c > ' ' && c != 0x7f && c != '#' && c != '%';
    CHECK(take_canonical_uri(raw, uri) == plain);
    if (!plain) continue;
    CHECK(uri.path == (c == '?' ? "/a" : raw));
    CHECK(uri.args == (c == '?' ? "b" : ""));
    CHECK(uri.extension == (c == '.' ? "b" : ""));
    CHECK(uri.plus == (c == '+'));
  }
}

TEST_CASE("uri: extension of a rewritten path", "[http][uri]") {
  CHECK(uri_extension("/a/b.txt") == "txt");
  CHECK(uri_extension("/a.b/c").empty());
  CHECK(uri_extension("/a/.txt").empty());
  CHECK(uri_extension("/a/.x.txt") == "txt");
  CHECK(uri_extension("/a.").empty());
  CHECK(uri_extension("/").empty());
  CHECK(uri_extension("").empty());
}

TEST_CASE("uri: internal URIs", "[http][uri]") {
  Arena arena;
  const auto path = [&](std::string_view text) {
    const auto uri = parse_internal_uri(arena, text);
    return uri ? std::string(uri->path) + "|" + std::string(uri->args) : std::string("-");
  };
  CHECK(path("/a/b") == "/a/b|");
  CHECK(path("a") == "a|");
  CHECK(path("/a?b=%20") == "/a|b=%20");
  CHECK(path("/a%20b?c") == "/a b|c");
  CHECK(path("/a%3Fb?c") == "/a?b|c");
  CHECK(path("/a..b/...") == "/a..b/...|");
  CHECK(path("/a?/../") == "/a|/../");
  for (std::string_view bad : {""sv, "?a"sv, ".."sv, "../a"sv, "/.."sv, "/a/../b"sv, "/a/.."sv,
                               "/a/%2e%2e/b"sv, "%2e./"sv, "/a%00"sv, "/a\0"sv, "%"sv, "/a%2f.."sv}) {
    CAPTURE(bad);
    CHECK(path(bad) == "-");
  }
}

TEST_CASE("uri: arguments", "[http][uri]") {
  CHECK(find_arg("a=1&b=2", "b") == "2");
  CHECK(find_arg("ab=1&b=2", "b") == "2");
  CHECK(find_arg("A=1", "a") == "1");
  CHECK(find_arg("a=", "a") == "");
  CHECK(find_arg("a&a=2", "a") == "2");
  CHECK(find_arg("a=1&a=2", "a") == "1");
  CHECK(find_arg("a=b=c&d", "a") == "b=c");
  CHECK_FALSE(find_arg("a", "a"));
  CHECK_FALSE(find_arg("", "a"));
  CHECK_FALSE(find_arg("xa=1", "a"));
  CHECK(find_unsafe_uri_byte("/a\tb\x7f") == 0x7f);
  CHECK_FALSE(find_unsafe_uri_byte("/a\tb c\xff"));
}

TEST_CASE("uri: request targets", "[http][uri]") {
  struct Target {
    std::string_view text, scheme, authority, uri;
    bool connect = false;
  };
  const Target good[] = {
      {"/a", "", "", "/a"},
      {"http://a.b", "http", "a.b", "/"},
      {"HTTPS://a.b:8443/x?y", "HTTPS", "a.b:8443", "/x?y"},
      {"http://a?y", "http", "a", "?y"},
      {"http://[::1]:80/", "http", "[::1]:80", "/"},
      {"http://a:/", "http", "a:", "/"},
      {"http:///x", "http", "", "/x"},
      {"x+y-1.z://a/", "x+y-1.z", "a", "/"},
      {"a.b:443", "", "a.b:443", "/", true},
      {"[::1]:443", "", "[::1]:443", "/", true},
  };
  for (const Target& row : good) {
    CAPTURE(row.text);
    const auto target = parse_request_target(row.text, row.connect);
    REQUIRE(target);
    CHECK(target->scheme == row.scheme);
    CHECK(target->authority == row.authority);
    CHECK(target->uri == row.uri);
  }
  for (std::string_view bad : {"", "*", "a", "1http://a/", "http:/a", "http:a", "http://a b/", "http://u@a/",
                               "http://a_b/", "http://[::1/", "http://a:8x/", "http://a#x", ":a", "?a"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_request_target(bad, false));
  }
  for (std::string_view bad : {"", "/", "a", "a:", "[::1]", "a:80/", "http://a:80", "a1", "a:80x"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_request_target(bad, true));
  }
}

TEST_CASE("uri: hosts", "[http][uri]") {
  struct Row {
    std::string_view text, name;
    int port = 0;
  };
  Arena arena;
  const Row good[] = {
      {"a.b", "a.b"},
      {"A.B.", "a.b"},
      {"a:80", "a", 80},
      {"a:", "a"},
      {"a.:80", "a", 80},
      {"[::1]", "[::1]"},
      {"[::1]:443", "[::1]", 443},
      {"[FE80::1]:65535", "[fe80::1]", 65535},
      {"a_b~%41!", "a_b~%41!"},
      {"1.2.3.4", "1.2.3.4"},
      {"[v1.x]", "[v1.x]"},
      {".a", ".a"},
  };
  for (const Row& row : good) {
    CAPTURE(row.text);
    const auto host = parse_host(arena, row.text);
    REQUIRE(host);
    CHECK(host->name == row.name);
    CHECK(host->port == row.port);
  }
  for (std::string_view bad : {""sv,       "."sv,      ":"sv,   ":80"sv,     "a..b"sv, "a..:80"sv,  "a/b"sv,
                               "a b"sv,    "a\0"sv,    "a@b"sv, "a:65536"sv, "a:8x"sv, "a:80:"sv,   "[::1"sv,
                               "[::1]x"sv, "[a..b]"sv, "a]"sv,  "a\\b"sv,    "a\"b"sv, "\xc3\xa9"sv}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_host(arena, bad));
  }
}

TEST_CASE("uri: what is not plain is found at every place of paths of every length", "[http][uri]") {
  for (std::size_t size = 1; size <= 50; ++size) {
    for (std::size_t at = 1; at < size; ++at) {
      const auto with = [&](char c) {
        std::string path = "/" + std::string(size - 1, 'a');
        path[at] = c;
        return path;
      };
      Arena arena;
      CAPTURE(size, at);
      const std::string dot = with('.');
      if (at > 1)
        CHECK(parse_request_uri(arena, dot, true)->extension == std::string_view(dot).substr(at + 1));
      CHECK(parse_request_uri(arena, with('+'), true)->plus);
      const std::string question = with('?');
      const auto cut = parse_request_uri(arena, question, true);
      CHECK(cut->path == std::string_view(question).substr(0, at));
      CHECK(cut->args == std::string_view(question).substr(at + 1));
      const std::string fragment = with('#');
      CHECK(parse_request_uri(arena, fragment, true)->path == std::string_view(fragment).substr(0, at));
      for (const char bad : {' ', '\t', '\0', '\x1f', '\x7f', '%'}) {
        if (bad != '%' || at + 2 >= size) CHECK_FALSE(parse_request_uri(arena, with(bad), true));
      }
      for (const char plain : {'!', '~', '-', ',', '\x80', '\xff'}) {
        const std::string path = with(plain);
        CHECK(parse_request_uri(arena, path, true)->path == path);
      }
    }
  }
}

TEST_CASE("uri: hosts of every length, with something unusual anywhere", "[http][uri]") {
  for (std::size_t size = 1; size <= 50; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      const auto with = [&](std::string_view text) {
        return std::string(at, 'a') + std::string(text) + std::string(size - at, '0');
      };
      Arena arena;
      CAPTURE(size, at);
      CHECK(parse_host(arena, with(".b-c_"))->name == with(".b-c_"));
      CHECK(parse_host(arena, with("Q"))->name == with("q"));
      if (at > 0) CHECK(parse_host(arena, with(":1").substr(0, at + 2))->port == 1);
      for (const std::string_view bad : {"..", " ", "/", "\x80", "@", "[", ":x"}) {
        CHECK_FALSE(parse_host(arena, with(bad)));
      }
    }
  }
}
