#include <string>

#include <catch2/catch.hpp>

#include "proto/h2/frame_reader.hpp"

using mp::proto::H2FrameHead;
using mp::proto::H2FrameReader;
using mp::proto::H2Type;

namespace {

std::string frame(H2Type type, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
  char head[mp::proto::kH2FrameHead];
  H2FrameHead{static_cast<std::uint32_t>(payload.size()), type, flags, stream}.write(head);
  return std::string(head, sizeof head).append(payload);
}

// What came, with the bytes given in pieces of `size`.
std::string read(std::string_view bytes, std::size_t size) {
  H2FrameReader reader;
  std::string out;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(size, bytes.size()))) {
    std::string_view piece = bytes.substr(0, size);
    for (;;) {
      const auto event = reader.next(piece);
      if (event == H2FrameReader::Event::none) break;
      if (event == H2FrameReader::Event::begins) {
        out += "[" + std::to_string(static_cast<int>(reader.head().type)) + " " +
               std::to_string(reader.head().length) + " " + std::to_string(reader.head().stream) + " ";
      } else {
        out += reader.payload();
        if (event == H2FrameReader::Event::whole || reader.complete()) {
          out += " " + std::to_string(event == H2FrameReader::Event::data ? reader.padding() : 0) + "]";
        }
      }
    }
    CHECK(piece.empty());
  }
  return out;
}

}  // namespace

TEST_CASE("HTTP/2 frames are the same however they come", "[h2]") {
  std::string bytes = frame(H2Type::headers, 4, 1, "a head");
  bytes += frame(H2Type::data, 0, 1, "a body");
  bytes += frame(H2Type::data, 8, 0x7fffffff, std::string("\2padded\0\0", 9));
  bytes += frame(H2Type::data, 1, 1, "");
  bytes += frame(H2Type::data, 8, 1, std::string("\0", 1));
  bytes += frame(H2Type::data, 8, 1, std::string("\3\0\0\0", 4));
  bytes += frame(H2Type::settings, 1, 0, "");
  bytes += frame(static_cast<H2Type>(0x77), 8, 3, "\1unknown");
  const std::string whole =
      "[1 6 1 a head 0][0 6 1 a body 0][0 9 2147483647 padded 3][0 0 1  0][0 1 1  1][0 4 1  4][4 0 0  0]"
      "[119 8 3 \1unknown 0]";
  for (std::size_t size = 1; size <= bytes.size(); ++size) REQUIRE(read(bytes, size) == whole);
}

TEST_CASE("HTTP/2 padding that is longer than its frame shows as such", "[h2]") {
  const std::string bytes = frame(H2Type::data, 8, 1,
                                  "\x04"
                                  "abc") +
                            frame(H2Type::ping, 0, 0, "12345678");
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    REQUIRE(read(bytes, size) == "[0 4 1  5][6 8 0 12345678 0]");
  }
}

TEST_CASE("the reserved bit of an HTTP/2 stream number is not looked at", "[h2]") {
  CHECK(H2FrameHead::read("\0\1\2\3\4\x80\0\0\5").stream == 5);
  CHECK(H2FrameHead::read("\0\1\2\3\4\x80\0\0\5").length == 0x102);
}
