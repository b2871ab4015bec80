#include "base/escape.hpp"

#include <string>

#include <catch2/catch.hpp>

using namespace mp;

namespace {

std::string all_bytes() {
  std::string text;
  for (int i = 0; i < 256; ++i) text += static_cast<char>(i);
  return text;
}

// The printable characters that `set` leaves alone.
std::string kept(UriEscape set) {
  std::string result;
  for (char c = 0x20; c < 0x7f; ++c) {
    if (escaped_uri_size({&c, 1}, set) == 1) result += c;
  }
  return result;
}

std::string unescaped(std::string_view text, Unescape mode, std::size_t* consumed = nullptr) {
  std::string buffer(text);
  const Unescaped result = unescape_uri_into(buffer.data(), buffer, mode);
  if (consumed != nullptr) *consumed = result.consumed;
  return {buffer.data(), result.end};
}

const std::string kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const std::string kSmall = "abcdefghijklmnopqrstuvwxyz";

}  // namespace

TEST_CASE("escape: characters each URI set leaves alone", "[base][escape]") {
  struct Row {
    UriEscape set;
    std::string kept;
  };
  const Row rows[] = {
      {UriEscape::uri, "!$&'()*+,-./0123456789:;=@" + kLetters + "[]_" + kSmall + "~"},
      {UriEscape::args, "!$'()*,-./0123456789:=@" + kLetters + "[]_" + kSmall + "~"},
      {UriEscape::uri_component, "-.0123456789" + kLetters + "_" + kSmall + "~"},
      {UriEscape::html, "!$&()*+,-./0123456789:;=?@" + kLetters + "[]_" + kSmall + "~"},
      {UriEscape::refresh, "!#$%&()*+,-./0123456789:;=?@" + kLetters + "[]_" + kSmall + "}"},
      {UriEscape::lua_uri, "!\"$&'()*+,-./0123456789:;<=>@" + kLetters + "[\\]^_`" + kSmall + "{|}~"},
      {UriEscape::lua_args, "!\"$&'()*,-./0123456789:;<=>@" + kLetters + "[\\]^_`" + kSmall + "{|}~"},
      {UriEscape::lua_component, "!'()*-.0123456789" + kLetters + "_" + kSmall + "~"},
      {UriEscape::lua_html, "!$&()*+,-./0123456789:;<=>?@" + kLetters + "[\\]^_`" + kSmall + "{|}~"},
      {UriEscape::lua_refresh, "!#$%&()*+,-./0123456789:;<=>?@" + kLetters + "[\\]^_`" + kSmall + "{|}~"},
      {UriEscape::lua_header_name, "!#$%&'*+-.0123456789" + kLetters + "^_`" + kSmall + "|~"},
  };
  for (const Row& row : rows) {
    CAPTURE(static_cast<int>(row.set));
    CHECK(kept(row.set) == row.kept);
  }
  for (UriEscape set :
       {UriEscape::memcached, UriEscape::mail_auth, UriEscape::lua_memcached, UriEscape::lua_mail_auth}) {
    CHECK(escaped_uri_size(all_bytes(), set) == 256 + 2 * (32 + 2));
  }
  CHECK(escaped_uri_size(all_bytes(), UriEscape::lua_header_value) == 256 + 2 * 32);
  CHECK(escaped_uri_size("\t", UriEscape::lua_header_value) == 1);
}

TEST_CASE("escape: ngx.escape_uri type numbers", "[base][escape]") {
  CHECK(lua_uri_escape(0) == UriEscape::lua_uri);
  CHECK(lua_uri_escape(2) == UriEscape::lua_component);
  CHECK(lua_uri_escape(8) == UriEscape::lua_header_value);
  CHECK_FALSE(lua_uri_escape(9));
}

TEST_CASE("escape: URI escaping and its inverse", "[base][escape]") {
  Arena arena;
  CHECK(escape_uri(arena, "a b/\xff?", UriEscape::uri) == "a%20b/%FF%3F");
  const std::string_view plain = "/plain";
  CHECK(escape_uri(arena, plain, UriEscape::uri).data() == plain.data());
  const std::string bytes = all_bytes();
  for (std::size_t i = 0; i < kUriEscapeCount; ++i) {
    const auto set = static_cast<UriEscape>(i);
    const std::string_view escaped = escape_uri(arena, bytes, set);
    CHECK(escaped.size() == escaped_uri_size(bytes, set));
    if (escaped_uri_size("%", set) == 3) {
      CHECK(unescape_uri(arena, escaped) == bytes);
    }
  }
}

TEST_CASE("escape: unescaping", "[base][escape]") {
  struct Row {
    const char* text;
    const char* all;
    const char* uri;
    const char* redirect;
  };
  const Row rows[] = {
      {"/a%20b", "/a b", "/a b", "/a%20b"},
      {"/a+b", "/a+b", "/a+b", "/a+b"},
      {"/%41%7e%25%7F%c3", "/A~%\x7f\xc3", "/A~%\x7f\xc3", "/A~%25%7F%c3"},
      {"/a?b%20c", "/a?b c", "/a?", "/a?"},
      {"/a%3Fb%20c", "/a?b c", "/a?", "/a?"},
      {"/a%3fb", "/a?b", "/a?", "/a?"},
      {"/a%", "/a", "/a", "/a"},
      {"/a%4", "/a", "/a", "/a"},
      {"/a%zb", "/azb", "/azb", "/azb"},
      {"/a%4zb", "/ab", "/ab", "/ab"},
      {"%%41", "%41", "%41", "%41"},
      {"", "", "", ""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK(unescaped(row.text, Unescape::all) == row.all);
    CHECK(unescaped(row.text, Unescape::uri) == row.uri);
    CHECK(unescaped(row.text, Unescape::redirect) == row.redirect);
  }
  std::size_t consumed = 0;
  unescaped("/a%3Fb=c", Unescape::uri, &consumed);
  CHECK(consumed == 5);
}

TEST_CASE("escape: form decoding keeps what is not %XX", "[base][escape]") {
  const auto decoded = [](std::string text) {
    char* const end = unescape_form_into(text.data(), text);
    return std::string(text.data(), end);
  };
  CHECK(decoded("a+b%20c%2B") == "a b c+");
  CHECK(decoded("100%") == "100%");
  CHECK(decoded("%4") == "%4");
  CHECK(decoded("%zz%41") == "%zzA");
  CHECK(decoded("a?b%3Fc") == "a?b?c");
}

TEST_CASE("escape: HTML", "[base][escape]") {
  Arena arena;
  CHECK(escape_html(arena, "<a href=\"x\">'&'</a>") == "&lt;a href=&quot;x&quot;&gt;'&amp;'&lt;/a&gt;");
  CHECK(escaped_html_size("<>&\"'") == 4 + 4 + 5 + 6 + 1);
}

TEST_CASE("escape: JSON", "[base][escape]") {
  Arena arena;
  CHECK(escape_json(arena, "a\"b\\c\n\r\t\b\f\x01\x1f\x7f\xff/") ==
        "a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0001\\u001F\x7f\xff/");
  CHECK(escape_json(arena, std::string_view("\0", 1)) == "\\u0000");
  CHECK(escaped_json_size(all_bytes()) == escape_json(arena, all_bytes()).size());
}

TEST_CASE("escape: log lines", "[base][escape]") {
  Arena arena;
  CHECK(escape_log(arena, "a\"b\\c\n\x7f\xff") == "a\\x22b\\x5Cc\\x0A\\x7F\\xFF");
  CHECK(escaped_log_size(all_bytes()) == 256 + 3 * (32 + 2 + 129));
}
