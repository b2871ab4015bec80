#include "proto/h1/input_buffer.hpp"

#include <cstring>
#include <string>

#include <catch2/catch.hpp>

using mp::proto::InputBuffer;

namespace {

void fill(InputBuffer& buffer, std::string_view bytes) {
  buffer.reserve(bytes.size());
  std::memcpy(buffer.room().data(), bytes.data(), bytes.size());
  buffer.filled(bytes.size());
}

}  // namespace

TEST_CASE("held bytes stay in place while more is put back and read", "[h1]") {
  InputBuffer buffer;
  const std::string head(500, 'h');
  fill(buffer, head + "ab");
  const std::string_view view = buffer.unread().substr(0, head.size());
  buffer.consume(head.size());
  buffer.hold();

  const std::string more(16000, 'm');
  buffer.unread_more(more);
  CHECK(view == head);
  CHECK(buffer.unread() == more + "ab");
  buffer.consume(more.size());
  buffer.unread_more(std::string(40000, 'n'));
  CHECK(view == head);
  CHECK(buffer.unread() == std::string(40000, 'n') + "ab");

  buffer.let_go();
  buffer.consume(40000);
  buffer.compact();
  CHECK(buffer.unread() == "ab");
}

TEST_CASE("a buffer that holds nothing moves its bytes to the front", "[h1]") {
  InputBuffer buffer;
  fill(buffer, std::string(16000, 'x') + "tail");
  buffer.consume(16000);
  const char* before = buffer.unread().data();
  buffer.reserve(1000);
  CHECK(buffer.unread() == "tail");
  CHECK(buffer.unread().data() == before - 16000);
  buffer.release();
  CHECK(buffer.empty());
}
