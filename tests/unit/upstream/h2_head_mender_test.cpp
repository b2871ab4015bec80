#include "upstream/h2_head_mender.hpp"

#include <string>
#include <string_view>

#include <catch2/catch.hpp>

using mp::upstream::H2HeadMender;
using mp::upstream::mend_header_block;
using namespace std::string_literals;

namespace {

constexpr std::string_view kGrpc = "\x1d\x75\xd0\x62\x0d\x26\x3d\x4c\x4d\x65\x64";  // application/grpc

std::string frame(int type, int flags, int stream, const std::string& payload) {
  const auto n = payload.size();
  return std::string{static_cast<char>(n >> 16),
                     static_cast<char>(n >> 8),
                     static_cast<char>(n),
                     static_cast<char>(type),
                     static_cast<char>(flags),
                     0,
                     0,
                     0,
                     static_cast<char>(stream)} +
         payload;
}

// The field content-type, as the second form of a literal.
std::string content_type(bool overlong) {
  return "\x5f"s + (overlong ? "\x8c"s + std::string(kGrpc) + "\xff" : "\x8b"s + std::string(kGrpc));
}

std::string pass(H2HeadMender& mender, std::string_view bytes) {
  std::string out;
  for (;;) {
    const std::string_view part = mender.take(bytes);
    if (part.empty()) return out;
    out.append(part);
  }
}

std::string pass_in_pieces(const std::string& bytes, std::size_t size) {
  H2HeadMender mender(64 * 1024);
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += size) {
    out += pass(mender, std::string_view(bytes).substr(at, size));
  }
  CHECK_FALSE(mender.holds_head());
  return out;
}

void check_passed(const std::string& in, const std::string& out) {
  for (std::size_t size = 1; size <= in.size(); ++size) CHECK(pass_in_pieces(in, size) == out);
}

}  // namespace

TEST_CASE("a whole byte of padding is taken out of a Huffman string", "[h2]") {
  std::string out;
  REQUIRE(mend_header_block("\x88" + content_type(true) + content_type(true) + "\x82", out));
  CHECK(out == "\x88" + content_type(false) + content_type(false) + "\x82");
  // The empty string, as name and value.
  REQUIRE(mend_header_block("\x40\x81\xff\x81\xff", out));
  CHECK(out == "\x40\x80\x80");
  // A length that becomes one byte, as in a field that is never indexed.
  const std::string long_text(126, '\xf8');
  REQUIRE(mend_header_block("\x1f\x01\xff\x00"s + long_text + "\xff", out));
  CHECK(out == "\x1f\x01\xfe"s + long_text);
}

TEST_CASE("header blocks that are right, or wrong otherwise, stay as they are", "[h2]") {
  std::string out;
  for (const std::string& block : {
           ""s,
           "\x88\x82\x3f\xe1\x1f"s,
           content_type(false),
           "\x5f\x03\x61\x62\xff"s,                              // not Huffman
           "\x5f\x83\x1c\x6f\xff"s,                              // "ab9": the last byte begins in a code
           "\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff"s,  // twelve bits of padding
           "\x5f\x8d"s + std::string(kGrpc) + "\xff\xff",        // two bytes
           "\x5f\x8d"s + std::string(kGrpc),                     // cut
           "\x5f\xff\xff\xff\xff\xff\xff\x7f"s,                  // a length that nobody has
           "\x5f"s,
           "\x40\x81\xff"s.substr(0, 2),
       }) {
    CHECK_FALSE(mend_header_block(block, out));
  }
}

TEST_CASE("heads are mended however they come", "[h2]") {
  const std::string settings = frame(4, 0, 0, "\0\4\0\0\1\0"s);
  const std::string data = frame(0, 0, 1, content_type(true));
  check_passed(settings + frame(1, 4, 1, "\x88" + content_type(true)) + data,
               settings + frame(1, 4, 1, "\x88" + content_type(false)) + data);
  // Padding and priority; the end of the stream.
  check_passed(frame(1, 0x2d, 3, "\2\0\0\0\1\7"s + content_type(true) + "\0\0"s) + settings,
               frame(1, 0x25, 3, "\0\0\0\1\7"s + content_type(false)) + settings);
  // A string that two frames share.
  const std::string block = content_type(true) + "\x88";
  check_passed(
      frame(1, 1, 5, block.substr(0, 5)) + frame(9, 0, 5, "") + frame(9, 4, 5, block.substr(5)) + data,
      frame(1, 5, 5, content_type(false) + "\x88") + data);
}

TEST_CASE("frames that are not to be mended pass untouched", "[h2]") {
  const std::string block = content_type(true);
  for (const std::string& bytes : {
           frame(1, 4, 1, content_type(false)) + frame(6, 0, 0, "12345678"),
           frame(1, 0, 1, block) + frame(9, 4, 3, block),  // another stream
           frame(1, 0, 1, block) + frame(0, 0, 1, "x"),    // no continuation
           frame(9, 4, 1, block),                          // of nothing
           frame(1, 0xc, 1, "\x0f" + block.substr(0, 3)),  // more padding than payload
           frame(1, 0x24, 1, "\x5f\x81\xff"),              // no room for the priority
       }) {
    H2HeadMender mender(1024);
    CHECK(pass(mender, bytes) == bytes);
  }
}

TEST_CASE("a head that is too large, or not waited for, passes as it is", "[h2]") {
  const std::string block = content_type(true);
  const std::string first = frame(1, 0, 1, block);
  std::string rest;
  for (int i = 0; i < 50; ++i) rest += frame(9, 0, 1, block);
  rest += frame(9, 4, 1, block);
  H2HeadMender small(100);
  std::string out;
  for (const char c : first + rest) out += pass(small, {&c, 1});
  CHECK(out == first + rest);
  CHECK(pass(small, frame(1, 4, 3, block)) == frame(1, 4, 3, content_type(false)));

  for (std::size_t cut = 9; cut < first.size() + 20; ++cut) {
    H2HeadMender mender(1024);
    CHECK(pass(mender, std::string_view(first + rest).substr(0, cut)).empty());
    CHECK(mender.holds_head());
    mender.let_go();
    out = pass(mender, {});
    CHECK(out.size() + 9 > cut);
    out += pass(mender, std::string_view(first + rest).substr(cut));
    CHECK(out == first + rest);
    CHECK_FALSE(mender.holds_head());
  }
}
